"""Each key of the API is changed with an overlap: the old one counts until it is removed."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import pytest
import requests

from pipeline.access.operator_links import sign_link
from pipeline.config.media_settings import MediaUrlSettings
from pipeline.net.signatures import make_secret
from pipeline.providers.active_secrets import vault_of
from pipeline.providers.callback_secrets import retire_secret, rotate_secret
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import (
    JWT_SECRET,
    OWNER,
    SECRET_KEY,
    Client,
    World,
    serving,
    token,
)
from tests.integration.api.operator import signed_in
from tests.integration.api.test_playback import publish

NEW_KEY, NEW_JWT_SECRET = "n" * 32, "m" * 32
Uses = Mapping[str, Callable[[str], int]]
"""For each credential: the status of the answer to its use, at an address of the API."""


def uses_of_everything_signed(api: Client, world: World) -> Uses:
    """What the secret key and the JWT secret have signed, with a use of each."""
    asset = publish(api, world, playback="signed")
    ticket = api.post("/api/stream-tickets", {}).json()["ticket"]
    body = {"filename": "a.mp4", "size_bytes": 5, "mime_type": "video/mp4"}
    upload = api.post("/api/uploads", {**body, "post_id": str(uuid4())}).json()
    cookie = signed_in(api).cookie
    link = sign_link(SECRET_KEY, "ops", reads_only=True, now=datetime.now(UTC))
    bearer = {"Authorization": f"Bearer {token(OWNER)}"}
    path = asset["poster_url"].removeprefix(api.url)

    def ask(there: str, base: str, **options: object) -> int:
        url = f"{base}{there}"
        answer = requests.request("HEAD", url, timeout=60, allow_redirects=False, **options)  # type: ignore[arg-type]
        return answer.status_code

    def follow(there: str, base: str) -> int:
        with requests.get(f"{base}{there}", timeout=60, stream=True) as answer:
            return answer.status_code

    stream = f"/api/video-assets/stream?post_ids={asset['post_id']}&ticket="
    operators = api.operator("POST", "/api/stream-tickets").json()["ticket"]
    return {
        "an address of media": partial(ask, path),
        "a stream's ticket": partial(ask, stream + ticket),
        "an operator's ticket": partial(follow, stream + operators),
        "an upload's ticket": partial(
            ask, f"/api/uploads/{upload['upload_id']}", headers=upload["headers"]
        ),
        "a console's session": partial(
            ask, "/ops", headers={"Cookie": f"{cookie.name}={cookie.value}"}
        ),
        "an operator's link": partial(ask, f"/ops/sign-in?link={link}"),
        "a person's token": partial(ask, f"/api/video-assets/{asset['post_id']}", headers=bearer),
    }


def seal_again(api: Client) -> None:
    """Rotate the callback secret, which the new key then seals, and retire the old one."""
    vault = vault_of(api.services.settings.media_urls.accepted_keys)
    with session_of(api.services.engines.operator) as session:
        rotate_secret(
            session, vault, "selfhosted", overlap_sec=60, actor="operator:ops", secret=make_secret()
        )
        retire_secret(session, "selfhosted", actor="operator:ops")


def test_the_old_keys_count_in_the_overlap_and_not_after_it(
    api: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses = uses_of_everything_signed(api, world)
    assert {name: use(api.url) for name, use in uses.items()} == dict.fromkeys(uses, 200)

    monkeypatch.setenv("KHRONIKA_SECRET_KEY", NEW_KEY)
    monkeypatch.setenv("KHRONIKA_SECRET_KEY_PREVIOUS", SECRET_KEY)
    monkeypatch.setenv("KHRONIKA_JWT_SECRET", NEW_JWT_SECRET)
    monkeypatch.setenv("KHRONIKA_JWT_SECRET_PREVIOUS", JWT_SECRET)
    with serving(monkeypatch) as rotated:
        assert {name: use(rotated.url) for name, use in uses.items()} == dict.fromkeys(uses, 200)
        renewed = token(OWNER, key=NEW_JWT_SECRET)
        headers = {"Authorization": f"Bearer {renewed}"}
        asset = rotated.create(as_=None, headers=headers)
        assert asset.status_code == 202
        seal_again(rotated)

    monkeypatch.delenv("KHRONIKA_SECRET_KEY_PREVIOUS")
    monkeypatch.delenv("KHRONIKA_JWT_SECRET_PREVIOUS")
    with serving(monkeypatch) as after:
        assert {name: use(after.url) for name, use in uses.items()} == {
            "an address of media": 403,
            "a stream's ticket": 401,
            "an operator's ticket": 401,
            "an upload's ticket": 404,
            "a console's session": 303,
            "an operator's link": 401,
            "a person's token": 401,
        }


def test_task_messages_of_both_keys_are_taken_in_the_overlap(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = MediaUrlSettings()
    monkeypatch.setenv("KHRONIKA_SECRET_KEY", NEW_KEY)
    monkeypatch.setenv("KHRONIKA_SECRET_KEY_PREVIOUS", SECRET_KEY)
    during = MediaUrlSettings()
    assert before.message_key in during.message_keys
    assert during.message_key == during.message_keys[0] != before.message_key
    monkeypatch.delenv("KHRONIKA_SECRET_KEY_PREVIOUS")
    assert before.message_key not in MediaUrlSettings().message_keys
