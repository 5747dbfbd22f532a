"""What is private answers a stranger like what does not exist, byte by byte."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
import requests
from werkzeug.exceptions import MethodNotAllowed

from api.documents.schemas import GoneOut
from api.live.event_stream import Document, write_id
from pipeline.content.object_urls import FILE_NAMES
from pipeline.domain.states import Status
from tests.conditions import PATIENCE_SEC
from tests.integration.api.conftest import OWNER, STRANGER, Client, World, token
from tests.integration.api.following import following
from tests.integration.api.test_isolation import CONSOLE, TICKET
from tests.integration.api.test_playback import FILES, PICTURES

ASSETS, UPLOADS = "/api/video-assets", "/api/uploads"
OF_TWO_ANSWERS = {"date", "x-request-id"}
"""Headers in which any two answers differ."""
FILE = {"filename": "a.mp4", "size_bytes": 1000, "mime_type": "video/mp4"}
OTHER = {"source_url": "https://videos.example/other.mp4"}


GONE = "event: gone\nid: {}\n"
COUNTED = re.compile(r"r=\d+")


class Probe(NamedTuple):
    """A request that names a thing. ``{post}``, ``{asset}``, ``{attempt}`` and ``{upload}`` stand
    for its ids.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = None


ON_A_VIDEO = (
    *(Probe("GET", f"{ASSETS}/{{post}}{more}") for more in ("", "/playback", "/events")),
    *(Probe("GET", f"{ASSETS}/{{post}}/events?{query}") for query in ("after=1", "limit=0")),
    *(Probe("POST", f"{ASSETS}/{{post}}/{verb}") for verb in ("cancel", "reencode")),
    Probe("DELETE", f"{ASSETS}/{{post}}"),
    Probe("PATCH", f"{ASSETS}/{{post}}"),
    Probe("POST", f"{ASSETS}/retry", {"post_id": "{post}"}),
    Probe("POST", f"{ASSETS}/create", {"post_id": "{post}", **OTHER}),
    Probe("POST", f"{ASSETS}/create", {"post_id": "{post}", "source_url": "{source}"}),
    Probe("POST", f"{ASSETS}/create", {"post_id": "{post}", "upload_id": "{upload}"}),
    Probe("POST", f"{ASSETS}/create", {"post_id": "{own}", "upload_id": "{upload}"}),
    Probe("POST", UPLOADS, {"post_id": "{post}", **FILE}),
    Probe("GET", f"{ASSETS}?post_ids={{post}}"),
    Probe("GET", f"{ASSETS}?post_ids={{post}},{{post}}"),
    Probe("GET", f"{ASSETS}?status=completed&post_ids={{post}}"),
    Probe("GET", f"{ASSETS}/stream?post_ids={{post}}"),
    Probe("GET", f"{ASSETS}/stream?post_ids={{post}}&ticket=forged"),
)
ON_AN_UPLOAD = (
    *(Probe(method, f"{UPLOADS}/{{upload}}") for method in ("GET", "DELETE", "POST")),
    Probe("PUT", f"{UPLOADS}/{{upload}}/content"),
    Probe("POST", f"{UPLOADS}/{{upload}}/complete"),
    Probe("POST", f"{UPLOADS}/{{upload}}/parts", {"numbers": [1]}),
    Probe("PUT", f"{UPLOADS}/{{upload}}/parts/1"),
    Probe("POST", f"{UPLOADS}/{{upload}}/parts/1", {"etag": "e"}),
)
OPENINGS = ("public", "forged", "{foreign}")
ON_FILES = (
    *(Probe("GET", f"/media/videos/{{asset}}/{name}") for name in (*FILE_NAMES.values(), "x")),
    *(
        Probe("GET", f"/media/{opening}/videos/{{asset}}/{name}")
        for opening in OPENINGS
        for name in FILE_NAMES.values()
    ),
    *(
        Probe("GET", f"/media/{opening}/{root}{folder}/{{asset}}/{{attempt}}/{name}")
        for opening in OPENINGS
        for root in ("", "protected/")
        for folder, names in (("processed", FILES), ("posters", PICTURES))
        for name in names
    ),
    *(
        Probe("GET", f"/media/{opening}/original/{OWNER}/{{post}}/{{upload}}/source.mp4")
        for opening in OPENINGS
    ),
)
ON_CONSOLE = (
    *(Probe("GET", f"{CONSOLE}/assets/{{{name}}}") for name in ("asset", "post")),
    *(Probe("POST", f"{CONSOLE}/assets/{{asset}}/{verb}") for verb in ("retry", "delete")),
    Probe("GET", f"{CONSOLE}?q={{asset}}"),
)
ON_CALLBACKS = (
    Probe("POST", f"{ASSETS}/webhook", {"data": {"job": {"id": "{attempt}"}}}),
    Probe("POST", f"{ASSETS}/webhook/selfhosted", {"data": {"job": {"id": "{attempt}"}}}),
)
PROBES = (*ON_A_VIDEO, *ON_AN_UPLOAD, *ON_FILES, *ON_CONSOLE, *ON_CALLBACKS)

EVERY_STATE = ("queued", "failed", "completed", "deleted", "uploading")
ASKING: Mapping[str, Mapping[str, str]] = {
    "plainly": {},
    "if it is none": {"If-None-Match": "*", "Range": "bytes=0-0"},
    "if it is another one": {"If-None-Match": "{etag}", "If-Range": "{etag}"},
    "if it is this one": {
        "If-Match": "{etag}",
        "Range": "bytes=99999999-",
        "If-Modified-Since": "Fri, 01 Jan 2038 00:00:00 GMT",
        "Origin": "https://site.example",
    },
    "with what others have": {
        "Idempotency-Key": "the-owners",
        TICKET: "{own_ticket}",
        "Last-Event-ID": "{etag}",
        "If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT",
    },
}
"""Headers by which a server may tell more than by its plain answer."""


class Thing(NamedTuple):
    """The ids of something private, or of nothing."""

    post: str
    asset: str
    attempt: str
    upload: str

    @classmethod
    def none(cls) -> "Thing":
        """Return ids that nothing has."""
        return cls(*(str(uuid4()) for _ in cls._fields))


class Stranger:
    """Somebody who asks about things of others, as a new caller each time."""

    def __init__(self, api: Client, known: Mapping[str, str]) -> None:
        self._api, self._known, self._number = api, known, count()

    def answer(
        self, probe: Probe, headers: Mapping[str, str], thing: Thing, *, as_owner: bool
    ) -> tuple[Any, ...]:
        """Ask, and return the whole answer without the names of the thing and the request."""
        ids = {**self._known, **thing._asdict()}
        sent = {name: value.format(**ids) for name, value in headers.items()}
        if as_owner:
            sent["Authorization"] = f"Bearer {token(f'stranger-{next(self._number):06}')}"
        with requests.request(
            probe.method,
            self._api.url + probe.path.format(**ids),
            headers=sent,
            json=_filled(probe.body, ids),
            timeout=PATIENCE_SEC,
            allow_redirects=False,
            stream=True,
        ) as answer:
            return _without_names(answer, _text_of(answer), thing)


def _text_of(answer: requests.Response) -> str:
    """Return the body; of a stream, all until its first event."""
    is_stream = answer.headers.get("Content-Type", "").startswith("text/event-stream")
    if not is_stream or answer.request.method == "HEAD":
        return answer.text
    # One character at a time: more would wait for more to come.
    lines = []
    for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
        lines.append(line)
        if line.startswith("data: "):
            break
    return "\n".join(lines)


def _filled(body: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(body, str):
        return body.format(**ids)
    if isinstance(body, Mapping):
        return {name: _filled(value, ids) for name, value in body.items()}
    return body


def _without_names(answer: requests.Response, text: str, thing: Thing) -> tuple[Any, ...]:
    names = {*thing, answer.headers["X-Request-Id"]}
    headers = {
        name.lower(): _replaced(value, names)
        for name, value in answer.headers.items()
        if name.lower() not in OF_TWO_ANSWERS
    }
    body = _replaced(text.replace(GONE.format(_gone_id(thing.post)), GONE), names)
    if "bad_signatures" in headers.get("ratelimit", ""):
        headers["ratelimit"] = COUNTED.sub("r=-", headers["ratelimit"])  # by address, not by id
    return answer.status_code, headers, body


def _gone_id(post_id: str) -> str:
    """Return the id of the event that a post has no video: a digest of the post's id alone."""
    gone = Document("gone", GoneOut(post_id=UUID(post_id)).model_dump_json())
    return write_id([UUID(post_id)], {UUID(post_id): gone.digest})


def _replaced(text: str, names: set[str]) -> str:
    for name in names:
        text = text.replace(name, "-").replace(UUID(name).hex, "-") if _is_id(name) else text
        text = text.replace(name, "-")
    return text


def _is_id(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True


@pytest.fixture
def environment(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """Streams that look at once for what changed."""
    monkeypatch.setenv("KHRONIKA_STREAM_LOOK_SEC", "0.05")
    monkeypatch.setenv("KHRONIKA_OWNER_MAX_UPLOADS", "1000")
    return environment


@pytest.fixture
def private(with_posts: Client, posts: Callable[[str], UUID], world: World) -> Mapping[str, Thing]:
    """Private things of the owner, in every state that a stranger could look for."""
    return {state: _private(with_posts, world, str(posts(OWNER)), state) for state in EVERY_STATE}


def _private(api: Client, world: World, post_id: str, state: str) -> Thing:
    upload = api.post(UPLOADS, {"post_id": post_id, **FILE}).json()["upload_id"]
    attempt = uuid4()
    if state == "uploading":
        return Thing(post_id, upload, str(attempt), upload)
    created = api.create(
        UUID(post_id),
        playback="signed",
        headers={"Idempotency-Key": "the-owners"} if state == "queued" else {},
    )
    asset_id = created.json()["id"]
    if state == "failed":
        world.move(asset_id, Status.PROCESSING, progress=50.0)
        world.fail(asset_id)
    if state in {"completed", "deleted"}:
        _publish(api, world, asset_id, attempt)
    if state == "deleted":
        assert api.call("DELETE", f"{ASSETS}/{post_id}").status_code == 202
    return Thing(post_id, asset_id, str(attempt), upload)


def _publish(api: Client, world: World, asset_id: str, attempt: UUID) -> None:
    published = world.complete(asset_id, attempt)
    for address, files in ((published.manifest_url, FILES), (published.poster_url, PICTURES)):
        assert address is not None
        folder = address.removeprefix("storage:").rpartition("/")[0]
        for name, content in files.items():
            api.services.storage.write(f"{folder}/{name}", [content])


@pytest.fixture
def stranger(
    with_posts: Client, posts: Callable[[str], UUID], world: World, private: Mapping[str, Thing]
) -> Stranger:
    """A stranger who has a video and an upload of their own, and the owner's ETag."""
    own = str(posts(STRANGER))
    issued = with_posts.post(UPLOADS, {"post_id": own, **FILE}, as_=STRANGER).json()
    mine = with_posts.create(posts(STRANGER), playback="signed", as_=STRANGER).json()
    world.complete(mine["id"])
    shown = with_posts.get(f"{ASSETS}/{mine['post_id']}", as_=STRANGER).json()
    foreign = shown["manifest_url"].removeprefix(f"{with_posts.url}/media/").partition("/")[0]
    seen = with_posts.get(f"{ASSETS}/{private['completed'].post}/playback")
    known = {
        "own": own,
        "own_ticket": issued["headers"][TICKET],
        "foreign": foreign,
        "etag": seen.headers["ETag"],
        "source": f"storage:original/{OWNER}/{private['uploading'].post}/x/source.mp4",
    }
    return Stranger(with_posts, known)


@pytest.mark.parametrize("as_owner", [True, False], ids=["another owner", "a visitor"])
@pytest.mark.parametrize("asking", ASKING)
def test_what_is_private_answers_a_stranger_like_nothing(
    stranger: Stranger, private: Mapping[str, Thing], asking: str, as_owner: bool
) -> None:
    states = EVERY_STATE if asking == "plainly" else ("completed", "uploading")
    told = []
    for probe in _with_other_methods():
        nothing = stranger.answer(probe, ASKING[asking], Thing.none(), as_owner=as_owner)
        for state in states:
            answer = stranger.answer(probe, ASKING[asking], private[state], as_owner=as_owner)
            if answer != nothing:
                told.append((probe, state, answer, nothing))
    assert told == []


def test_a_stream_is_silent_about_the_changes_of_a_private_video(
    with_posts: Client, posts: Callable[[str], UUID], world: World
) -> None:
    private, public = (
        with_posts.create(posts(OWNER), playback=playback).json()
        for playback in ("signed", "public")
    )
    followed = [private["post_id"], public["post_id"], str(uuid4())]
    with following(with_posts.url, followed) as stream:
        first = stream.take(3)
        assert {first[followed[0]].type, first[followed[2]].type} == {"gone"}
        for asset in (private, public):
            world.move(asset["id"], Status.PROCESSING, progress=50.0)
        assert stream.next().post_id == public["post_id"]


def test_a_key_of_somebody_else_is_like_one_that_was_never_used(
    with_posts: Client, posts: Callable[[str], UUID]
) -> None:
    theirs = posts(OWNER)
    with_posts.create(theirs, headers={"Idempotency-Key": "the-owners"})
    told = []
    for key in ("the-owners", "a-fresh-one"):
        own = with_posts.create(posts(STRANGER), as_=STRANGER, headers={"Idempotency-Key": key})
        foreign = with_posts.create(theirs, as_=STRANGER, headers={"Idempotency-Key": key + "2"})
        told.append([(each.status_code, sorted(each.headers)) for each in (own, foreign)])
    assert told[0] == told[1]
    assert [status for status, _ in told[0]] == [202, 404]


def _with_other_methods() -> list[Probe]:
    others = [
        probe._replace(method=method)
        for probe in PROBES
        if probe.method == "GET"
        for method in ("HEAD", "OPTIONS")
    ]
    return [*PROBES, *others]


def test_every_route_that_names_a_thing_is_asked(with_posts: Client) -> None:
    rules = with_posts.app.url_map
    ids = {name: str(uuid4()) for name in (*Thing._fields, "own")} | {"foreign": "x"}
    asked = set()
    for probe in PROBES:
        path = probe.path.format(**ids).partition("?")[0]
        with suppress(MethodNotAllowed):
            asked.add(rules.bind("").match(path, probe.method)[0])
    named = {
        rule.endpoint
        for rule in rules.iter_rules()
        if rule.arguments & {"post_id", "asset_id", "upload_id", "token"}
    }
    assert named - asked == {"ops_changes.confirm"}  # its assets are ids in a form
