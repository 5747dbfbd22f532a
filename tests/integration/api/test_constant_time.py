"""It is the comparison in constant time that decides on every credential there is."""

import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest
import requests

from api.identity.tokens import Role
from api.live.stream_tickets import sign_ticket
from pipeline.access.api_keys import NewKey, make_key
from pipeline.content.media_tokens import sign_prefix
from pipeline.net.signatures import SignatureRejected
from pipeline.runtime.database import make_engine, session_of
from tests.integration.api.conftest import OWNER, Client
from tests.integration.api.route_classes import FILE
from tests.integration.api.test_callbacks import job, send
from tests.scripted_provider import callback
from tests.webhook_vectors import GOOD, PROVIDERS

Use = Callable[[], requests.Response]


@pytest.fixture
def environment(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """Streams that end at once."""
    monkeypatch.setenv("KHRONIKA_STREAM_LIFE_SEC", "0.05")
    return environment


def uses(api: Client, role_urls: Mapping[str, str]) -> Mapping[str, tuple[Use, int, int]]:
    """Each good credential: how it is used, and how it is answered if it is right and if not."""
    until = datetime.now(UTC) + timedelta(hours=1)
    post_id = api.create().json()["post_id"]
    read = f"/api/video-assets/{post_id}"
    issued = api.post("/api/uploads", FILE | {"post_id": str(uuid4())}).json()
    engine = make_engine(role_urls["operator"], pool_size=1)
    with session_of(engine) as session:
        wanted = NewKey("site", OWNER, ("assets:read",), None)
        key = make_key(session, wanted, actor="operator:ops", source="desk").key
    engine.dispose()
    settings = api.services.settings
    media = sign_prefix(settings.media_urls.key, "processed/a", expires_at=until)
    ticket = sign_ticket(settings.media_urls.key, OWNER, Role.OWNER, expires_at=until)
    headers, body = callback(job(), "job.progress")
    ask = partial(api.get, as_=None)
    return {
        "a person's token": (partial(api.get, read), 200, 401),
        "a server's key": (
            partial(ask, read, headers={"Authorization": f"Bearer {key}"}),
            200,
            401,
        ),
        "an upload's ticket": (
            partial(ask, f"/api/uploads/{issued['upload_id']}", headers=issued["headers"]),
            200,
            404,
        ),
        "an address of media": (partial(ask, f"/media/{media}/processed/a/x.mp4"), 404, 403),
        "a stream's ticket": (
            partial(ask, f"/api/video-assets/stream?post_ids={post_id}&ticket={ticket}"),
            200,
            401,
        ),
        "a callback's signature": (partial(send, api, headers, body), 202, 401),
    }


def test_a_good_credential_whose_comparison_fails_opens_nothing(
    api: Client, role_urls: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    every = uses(api, role_urls)
    right = {name: use().status_code for name, (use, *_) in every.items()}
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: False)
    wrong = {name: use().status_code for name, (use, *_) in every.items()}

    assert right == {name: status for name, (_, status, _) in every.items()}
    assert wrong == {name: status for name, (*_, status) in every.items()}


@pytest.mark.parametrize("scheme", PROVIDERS)
@pytest.mark.parametrize("verdict", [True, False])
def test_of_every_scheme_it_is_the_comparison_that_decides_on_a_callback(
    scheme: str, verdict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    callback = GOOD[scheme]
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: verdict)
    if verdict:
        callback.verify(body=b"another body")
    else:
        with pytest.raises(SignatureRejected, match="bad_signature"):
            callback.verify()
