"""One reading of an id: with hyphens or without, in either case, wherever a request names one."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from tests.integration.api.conftest import Client, World
from tests.integration.api.operator import signed_in
from tests.integration.api.route_classes import ASSETS, UPLOADS
from tests.integration.api.test_playback import publish

SPELLINGS: dict[str, Callable[[UUID], str]] = {
    "upper case": lambda id_: str(id_).upper(),
    "no hyphens": lambda id_: id_.hex,
    "neither": lambda id_: id_.hex.upper(),
}
OTHERS: dict[str, Callable[[UUID], str]] = {
    "braces": lambda id_: f"{{{id_}}}",
    "a prefix": lambda id_: id_.urn,
    "a hyphen of its own": lambda id_: f"{id_.hex[:3]}-{id_.hex[3:]}",
}


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_post_is_found_by_every_spelling_of_its_id(
    api: Client, spelled: Callable[[UUID], str]
) -> None:
    post_id = uuid4()
    text = spelled(post_id)
    made = api.post(
        f"{ASSETS}/create", {"post_id": text, "source_url": "https://videos.example/a.mp4"}
    )
    assert (made.status_code, made.json()["post_id"]) == (202, str(post_id))
    for path in ("", "/events", "/playback"):
        assert api.get(f"{ASSETS}/{text}{path}").status_code == 200, path
    cards = api.get(f"{ASSETS}?post_ids={text},{post_id}").json()["assets"]
    assert [card["post_id"] for card in cards] == [str(post_id)]
    assert api.post(f"{ASSETS}/retry", {"post_id": text}).json()["code"] == "not_failed"
    assert api.post(f"{ASSETS}/{text}/reencode").json()["code"] == "not_completed"
    assert api.post(f"{ASSETS}/{text}/cancel").status_code == 202
    console = signed_in(api)
    for words in (text, spelled(UUID(made.json()["id"]))):
        found = console.get("/ops/search", params={"q": words})
        assert found.answer.url.endswith(f"/ops/assets/{made.json()['id']}")
    assert console.get(f"/ops/inbox?asset={text}").status == 200
    assert api.call("DELETE", f"{ASSETS}/{text}").status_code == 202


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_an_upload_is_found_by_every_spelling(api: Client, spelled: Callable[[UUID], str]) -> None:
    file = {"filename": "a.mp4", "size_bytes": 1, "mime_type": "video/mp4"}
    issued = api.post(UPLOADS, {"post_id": spelled(uuid4()), **file}).json()
    address = f"{UPLOADS}/{spelled(UUID(issued['upload_id']))}"
    shown = api.get(address, headers=issued["headers"])
    assert (shown.status_code, shown.json()["upload_id"]) == (200, issued["upload_id"])


@pytest.mark.parametrize("spelled", OTHERS.values(), ids=OTHERS.keys())
def test_what_is_no_spelling_is_none_anywhere(api: Client, spelled: Callable[[UUID], str]) -> None:
    post_id = UUID(api.create().json()["post_id"])
    text = spelled(post_id)
    assert api.create(text).status_code == 422  # type: ignore[arg-type]
    assert api.post(f"{ASSETS}/retry", {"post_id": text}).status_code == 422
    assert api.get(f"{ASSETS}?post_ids={text}").status_code == 422
    assert api.get(f"{ASSETS}/{text}").status_code == 404
    assert "No video" in signed_in(api).get("/ops/search", params={"q": text}).text


def test_every_route_with_an_id_reads_every_spelling(api: Client) -> None:
    adapter = api.app.url_map.bind("api.example")
    rules = [rule for rule in api.app.url_map.iter_rules() if "<uuid:" in rule.rule]
    assert len(rules) > 10
    for rule in rules:
        [name] = [each for each in rule.arguments if each.endswith("_id")]
        given = dict.fromkeys(rule.arguments, "x") | {"number": 1, name: (id_ := uuid4())}
        method = next(iter((rule.methods or set()) - {"HEAD", "OPTIONS"}))
        path = adapter.build(
            rule.endpoint, {each: given[each] for each in rule.arguments}, method=method
        )
        for spelled in SPELLINGS.values():
            endpoint, read = adapter.match(path.replace(str(id_), spelled(id_)), method=method)
            assert (endpoint, read[name]) == (rule.endpoint, id_)


def test_an_address_of_media_has_one_spelling(api: Client, world: World) -> None:
    """A CDN that purges by address is told the address that we write."""
    asset = publish(api, world)
    written = asset["manifest_url"].removeprefix(api.url)
    assert api.get(written, allow_redirects=False).status_code == 302
    for spelled in SPELLINGS.values():
        other = written.replace(asset["id"], spelled(UUID(asset["id"])))
        assert api.get(other, allow_redirects=False).status_code == 404, other
