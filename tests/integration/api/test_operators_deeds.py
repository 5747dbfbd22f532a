"""Every route that an operator can use: a deed leaves one row in the audit, a look leaves none."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
import requests
from sqlalchemy import select, text

from pipeline.domain.audit_types import OF_OPERATORS, AuditType
from pipeline.domain.states import Status
from pipeline.records.models import AuditEvent
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import (
    OWNER,
    SECRET_KEY,
    SOURCE,
    STRANGER,
    Client,
    World,
    token,
)
from tests.integration.api.operator import Operator, Page, signed_in
from tests.integration.api.route_classes import ASSETS, UPLOADS
from tests.integration.api.test_isolation import _rules
from tests.integration.api.test_ops_sign_in import link

OPERATOR = "operator:ops"
WANTED = {"filename": "a.mp4", "mime_type": "video/mp4"}


class Stage:
    """What an operator's deed is done to."""

    def __init__(self, api: Client, world: World, clip: Path) -> None:
        self.api, self.world, self.clip = api, world, clip
        self.console = signed_in(api)
        self.token = token("ops", role="service_role")

    def video(self, status: Status = Status.QUEUED, playback: str = "signed") -> dict[str, Any]:
        made: dict[str, Any] = self.api.create(playback=playback).json()
        if status is Status.FAILED:
            self.world.fail(made["id"])
        if status is Status.COMPLETED:
            self.world.complete(made["id"])
        return made

    def upload(self) -> str:
        body = {**WANTED, "post_id": str(uuid4()), "size_bytes": self.clip.stat().st_size}
        ticket = self.api.post(UPLOADS, body).json()
        path = ticket["url"].removeprefix(self.api.url)
        sent = self.api.call("PUT", path, data=self.clip.read_bytes(), headers=ticket["headers"])
        assert sent.status_code == 200
        return str(ticket["upload_id"])

    def delivery(self) -> UUID:
        with session_of(self.api.services.engines.api) as session:
            inserted = session.execute(
                text("""INSERT INTO webhook_deliveries
                            (id, provider, event_id, headers, body, body_sha256)
                        VALUES (:id, 'selfhosted', 'evt-1', '{}', '{"a": 1}', '')"""),
                {"id": (delivery_id := uuid4())},
            )
        assert inserted.rowcount == 1  # type: ignore[attr-defined]
        return delivery_id

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        return self.api.call(
            method, path, as_=None, json=body, headers={"Authorization": f"Bearer {self.token}"}
        )

    def button(self, path: str, action: str) -> Page:
        return self.console.submit(self.console.get(path).form(action))

    def ticket(self) -> str:
        return str(self.ask("POST", "/api/stream-tickets").json()["ticket"])


def _post(
    path: str, status: Status = Status.QUEUED, method: str = "POST"
) -> Callable[[Stage], Any]:
    return lambda stage: stage.ask(method, path.format(post=stage.video(status)["post_id"]))


def _console(name: str, status: Status) -> Callable[[Stage], Any]:
    def press(stage: Stage) -> Page:
        asset_id = stage.video(status, playback="public")["id"]
        path = f"/ops/assets/{asset_id}/{name}"
        return stage.button(path, path)

    return press


class Deed(NamedTuple):
    """A request of an operator.

    Attributes:
        do: Sends it, after making what it is about.
        leaves: The type of the one row that it leaves; None for a look.
        about: The ids in the row.
        shows_media: Whether its answer has addresses of media, which leaves a second row.
    """

    do: Callable[[Stage], Any]
    leaves: AuditType | None
    about: frozenset[str] = frozenset()
    shows_media: bool = False


VIDEO = frozenset({"post_id", "asset_id"})
UPLOAD = frozenset({"post_id", "upload_id"})
MEDIA = frozenset({"assets"})


def _look(path: str) -> Deed:
    return Deed(lambda stage: stage.ask("GET", path), None)


def _page(path: str) -> Deed:
    return Deed(lambda stage: stage.console.get(path), None)


def _set_state(stage: Stage) -> Any:
    return stage.ask("POST", "/api/providers/selfhosted/state", {"state": "drain"})


def _stream(stage: Stage) -> Any:
    posts = stage.video(Status.COMPLETED)["post_id"]
    address = f"{stage.api.url}{ASSETS}/stream?post_ids={posts}&ticket={stage.ticket()}"
    with requests.get(address, stream=True, timeout=60) as answer:
        next(answer.iter_lines())
        return answer


def _create(stage: Stage) -> Any:
    body = {"post_id": str(uuid4()), "owner_id": OWNER, "source_url": SOURCE}
    return stage.ask("POST", f"{ASSETS}/create", body)


def _issue(stage: Stage) -> Any:
    body = {**WANTED, "post_id": str(uuid4()), "owner_id": OWNER, "size_bytes": 9}
    return stage.ask("POST", UPLOADS, body)


def _bulk(stage: Stage) -> Any:
    stage.world.fail(stage.video(playback="public")["id"])
    return stage.button("/ops/failed/retry?all=1", "/ops/failed/retry")


# Deeds by method and rule; several where the answer has several kinds.
DEEDS: Mapping[str, tuple[Deed, ...]] = {
    f"POST {ASSETS}/create": (Deed(_create, AuditType.CREATE, VIDEO),),
    f"POST {ASSETS}/retry": (
        Deed(
            lambda s: s.ask(
                "POST", f"{ASSETS}/retry", {"post_id": s.video(Status.FAILED)["post_id"]}
            ),
            AuditType.RETRY,
            VIDEO,
        ),
    ),
    f"POST {ASSETS}/<uuid:post_id>/cancel": (
        Deed(_post(f"{ASSETS}/{{post}}/cancel"), AuditType.CANCEL, VIDEO),
    ),
    f"POST {ASSETS}/<uuid:post_id>/reencode": (
        Deed(
            _post(f"{ASSETS}/{{post}}/reencode", Status.COMPLETED), AuditType.REENCODE, VIDEO, True
        ),
    ),
    f"DELETE {ASSETS}/<uuid:post_id>": (
        Deed(_post(f"{ASSETS}/{{post}}", method="DELETE"), AuditType.DELETE, VIDEO),
    ),
    f"GET {ASSETS}/<uuid:post_id>": (
        Deed(_post(f"{ASSETS}/{{post}}", Status.COMPLETED, "GET"), AuditType.MEDIA_READ, MEDIA),
        Deed(_post(f"{ASSETS}/{{post}}", method="GET"), None),
        Deed(
            lambda s: s.ask("GET", f"{ASSETS}/{s.video(Status.COMPLETED, 'public')['post_id']}"),
            None,
        ),
    ),
    f"GET {ASSETS}/<uuid:post_id>/events": (
        Deed(_post(f"{ASSETS}/{{post}}/events", method="GET"), None),
    ),
    f"GET {ASSETS}/<uuid:post_id>/playback": (
        Deed(
            _post(f"{ASSETS}/{{post}}/playback", Status.COMPLETED, "GET"),
            AuditType.MEDIA_READ,
            MEDIA,
        ),
        Deed(_post(f"{ASSETS}/{{post}}/playback", method="GET"), None),
    ),
    f"GET {ASSETS}": (
        Deed(
            _post(f"{ASSETS}?post_ids={{post}}", Status.COMPLETED, "GET"),
            AuditType.MEDIA_READ,
            MEDIA,
        ),
        Deed(
            _post(f"{ASSETS}?status=completed", Status.COMPLETED, "GET"),
            AuditType.MEDIA_READ,
            MEDIA,
        ),
        Deed(_post(f"{ASSETS}?status=queued", method="GET"), None),
    ),
    f"GET {ASSETS}/stream": (Deed(_stream, AuditType.STREAM_OPENED, frozenset({"posts"})),),
    "POST /api/stream-tickets": (
        Deed(lambda s: s.ask("POST", "/api/stream-tickets"), AuditType.STREAM_TICKET),
    ),
    "GET /api/providers": (_look("/api/providers"),),
    "POST /api/providers/<name>/state": (
        Deed(_set_state, AuditType.PROVIDER_DRAIN, frozenset({"provider", "was"})),
    ),
    f"POST {UPLOADS}": (Deed(_issue, AuditType.UPLOAD, UPLOAD),),
    f"POST {UPLOADS}/<uuid:upload_id>/complete": (
        Deed(
            lambda s: s.ask("POST", f"{UPLOADS}/{s.upload()}/complete"),
            AuditType.UPLOAD_COMPLETE,
            UPLOAD,
        ),
    ),
    "GET /ops": (_page("/ops"),),
    "GET /ops/accounts": (_page("/ops/accounts"),),
    "GET /ops/audit": (_page("/ops/audit"),),
    "GET /ops/failed": (_page("/ops/failed"),),
    "GET /ops/failed/retry": (_page("/ops/failed/retry?all=1"),),
    "GET /ops/failed/retry/outcome": (_page("/ops/failed/retry/outcome"),),
    "GET /ops/inbox": (_page("/ops/inbox"),),
    "GET /ops/search": (_page("/ops/search?q=x"),),
    "GET /ops/sign-in": (_page("/ops/sign-in"),),
    "GET /ops/<path:_rest>": (_page("/ops/nothing"),),
    "GET /ops/inbox/<uuid:delivery_id>": (
        Deed(
            lambda s: s.console.get(f"/ops/inbox/{s.delivery()}"),
            AuditType.DELIVERY_READ,
            frozenset({"delivery_id"}),
        ),
    ),
    "GET /ops/assets/<uuid:asset_id>": (
        Deed(
            lambda s: s.console.get(f"/ops/assets/{s.video(Status.COMPLETED)['id']}"),
            AuditType.MEDIA_READ,
            MEDIA,
        ),
        Deed(lambda s: s.console.get(f"/ops/assets/{s.video()['id']}"), None),
    ),
    "GET /ops/assets/<uuid:asset_id>/<name>": (
        Deed(lambda s: s.console.get(f"/ops/assets/{s.video()['id']}/cancel"), None),
    ),
    "POST /ops/assets/<uuid:asset_id>/<name>": (
        Deed(_console("retry", Status.FAILED), AuditType.RETRY, VIDEO),
        Deed(_console("cancel", Status.QUEUED), AuditType.CANCEL, VIDEO),
        Deed(_console("reencode", Status.COMPLETED), AuditType.REENCODE, VIDEO),
        Deed(_console("delete", Status.QUEUED), AuditType.DELETE, VIDEO),
    ),
    "POST /ops/accounts/<name>/<state>": (
        Deed(
            lambda s: s.button("/ops/accounts", "/ops/accounts/selfhosted/disabled"),
            AuditType.PROVIDER_DISABLE,
            frozenset({"provider", "was"}),
        ),
    ),
    "POST /ops/failed/retry": (Deed(_bulk, AuditType.BULK_RETRY, frozenset({"run", "matched"})),),
    "POST /ops/sign-in": (
        Deed(lambda s: signed_in(s.api), AuditType.SIGNED_IN, frozenset({"role", "how"})),
    ),
    "POST /ops/sign-out": (
        Deed(lambda s: s.button("/ops", "/ops/sign-out"), AuditType.SIGNED_OUT),
    ),
}

NOT_OPERATORS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            f"GET {UPLOADS}/<uuid:upload_id>",
            f"DELETE {UPLOADS}/<uuid:upload_id>",
            f"PUT {UPLOADS}/<uuid:upload_id>/content",
            f"POST {UPLOADS}/<uuid:upload_id>/parts",
            f"PUT {UPLOADS}/<uuid:upload_id>/parts/<int:number>",
            f"POST {UPLOADS}/<uuid:upload_id>/parts/<int:number>",
        ),
        "the ticket is the authority and names an owner; its issue is audited",
    ),
    **dict.fromkeys(
        (f"POST {ASSETS}/webhook", f"POST {ASSETS}/webhook/<provider>"),
        "the provider's signature is the authority",
    ),
    **dict.fromkeys(
        ("GET /media/<token>/<path:key>", "GET /media/<token>/videos/<uuid:asset_id>/<name>"),
        "the token in the path is the authority; giving it to an operator is audited",
    ),
    **dict.fromkeys(
        (
            *("GET /media/videos/<uuid:asset_id>/<name>", "GET /healthz", "GET /readyz"),
            *("GET /metrics", "GET /docs", "GET /openapi.json", "GET /web/<path:name>"),
            "GET /web/vendor/<library>/<version>/<name>",
        ),
        "it is everybody's and knows no caller",
    ),
}


@pytest.fixture
def stage(api: Client, world: World, clip: Path) -> Stage:
    return Stage(api, world, clip)


def rows(world: World) -> list[AuditEvent]:
    with session_of(world.engine) as session:
        return list(session.scalars(select(AuditEvent).order_by(AuditEvent.id)))


def test_every_route_is_a_deed_a_look_or_no_operators(api: Client) -> None:
    assert _rules(api) == DEEDS.keys() | NOT_OPERATORS.keys()
    assert not DEEDS.keys() & NOT_OPERATORS.keys()


CASES = [
    pytest.param(deed, id=f"{rule} {deed.leaves or 'nothing'} {number}")
    for rule, deeds in DEEDS.items()
    for number, deed in enumerate(deeds)
]


@pytest.mark.parametrize("deed", CASES)
def test_a_deed_leaves_one_row_and_a_look_leaves_none(stage: Stage, deed: Deed) -> None:
    before = len(rows(stage.world))
    answer = deed.do(stage)
    made = rows(stage.world)[before:]
    if deed.leaves is AuditType.STREAM_OPENED:
        assert made.pop(0).type == AuditType.STREAM_TICKET
    if deed.shows_media:
        assert made.pop().type == AuditType.MEDIA_READ
    if deed.leaves is AuditType.BULK_RETRY:
        assert [each.type for each in made[1:]] == [AuditType.RETRY]
        del made[1:]
    if deed.leaves is None:
        assert made == []
        return
    [row] = made
    assert (row.type, row.actor, row.source) == (deed.leaves, OPERATOR, "127.0.0.1")
    assert row.detail.keys() >= deed.about
    assert row.request_id
    if isinstance(answer, requests.Response):
        assert row.request_id == answer.headers["X-Request-Id"]
    written = json.dumps(row.detail)
    assert stage.token not in written
    assert SECRET_KEY not in written


@pytest.mark.parametrize("role", ["service_role", "operator_read"])
def test_a_reader_who_is_given_private_media_is_written_down_too(stage: Stage, role: str) -> None:
    stage.token = token("ops", role=role)
    post_id = stage.video(Status.COMPLETED)["post_id"]
    before = len(rows(stage.world))
    assert stage.ask("GET", f"{ASSETS}/{post_id}").status_code == 200
    assert [row.type for row in rows(stage.world)[before:]] == ["media_read"]


def test_the_live_parts_of_a_page_give_no_address_and_leave_nothing(stage: Stage) -> None:
    asset_id = stage.video(Status.COMPLETED)["id"]
    before = len(rows(stage.world))
    part = stage.console.get(f"/ops/assets/{asset_id}", headers={"X-Fragment": "1"})
    assert part.status == 200
    assert "/media/" not in part.answer.text
    assert rows(stage.world)[before:] == []


def test_an_owner_who_reads_their_own_leaves_nothing(stage: Stage) -> None:
    post_id = stage.video(Status.COMPLETED)["post_id"]
    before = len(rows(stage.world))
    for path in (f"{ASSETS}/{post_id}", f"{ASSETS}?post_ids={post_id}"):
        assert stage.api.get(path).status_code == 200
    assert stage.api.post(f"{UPLOADS}/{stage.upload()}/complete").status_code == 200
    assert stage.api.post("/api/stream-tickets").status_code == 201
    assert rows(stage.world)[before:] == []


REFUSED = {
    "no token": ("", "token_missing"),
    "no token of ours": ("wrong", "token_invalid"),
    "an expired one": (token("ops", role="service_role", exp=1), "token_expired"),
    "another's key": (token("ops", key="x" * 32, role="service_role"), "token_invalid"),
    "an owner's": (token(OWNER), "role_not_allowed"),
    "a key that is none": (f"khv_{'0' * 32}_{'a' * 43}", "token_invalid"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refused_sign_in_leaves_one_row_without_the_credential(
    api: Client, world: World, kind: str
) -> None:
    pasted, code = REFUSED[kind]
    page = Operator(api).sign_in(pasted)
    [row] = rows(world)
    assert (row.type, row.reason, row.actor) == ("sign_in_refused", code, "operator:?")
    assert row.source == "127.0.0.1"
    assert row.request_id == page.answer.headers["X-Request-Id"]
    assert row.detail == {}


def test_a_link_that_was_used_is_a_refused_sign_in(api: Client, world: World) -> None:
    first, second = Operator(api), Operator(api)
    address = link(api)
    pages = [each.get(address) for each in (first, second)]
    statuses = [
        each.submit(page.form("/ops/sign-in")).status
        for each, page in zip((first, second), pages, strict=True)
    ]
    assert statuses == [200, 401]
    assert [(row.type, row.reason) for row in rows(world)] == [
        ("signed_in", None),
        ("sign_in_refused", "link_invalid"),
    ]


def test_a_flood_of_refused_sign_ins_is_bounded_in_the_audit(api: Client, world: World) -> None:
    operator = Operator(api)
    form = operator.get("/ops/sign-in").form("/ops/sign-in")
    statuses = {operator.submit(form, ("token", "wrong")).status for _ in range(25)}
    assert statuses == {401}
    assert len(rows(world)) == 20


def test_an_owner_sees_that_an_operator_acted_and_not_which_one(api: Client, world: World) -> None:
    name = "nino.k@khronika.example"
    video = api.create().json()
    headers = {"Authorization": f"Bearer {token(name, role='service_role')}"}
    path = f"{ASSETS}/{video['post_id']}"
    assert api.post(f"{path}/cancel", as_=None, headers=headers).status_code == 202
    assert world.events(video["id"])[-1].actor == f"operator:{name}"
    seen = api.get(f"{path}/events")
    assert [event["actor"] for event in seen.json()["events"]] == [f"owner:{OWNER}", "operator"]
    for answer in (seen, api.get(path), api.get(f"{path}/playback", as_=STRANGER)):
        assert "nino" not in answer.text
    whole = api.get(f"{path}/events", as_=None, headers=headers).json()
    assert whole["events"][-1]["actor"] == f"operator:{name}"


def test_the_table_has_every_type_that_operators_leave_over_http() -> None:
    left = {deed.leaves for deeds in DEEDS.values() for deed in deeds} - {None}
    by_commands = {
        *(AuditType.LINK_MADE, AuditType.ROLLBACK, AuditType.BACKFILL, AuditType.MOVE),
        *(AuditType.CLEAN, AuditType.PROVIDER_RELEASE, AuditType.PROVIDER_WRITE_OFF),
        *(AuditType.SECRET_ROTATED, AuditType.SECRET_RETIRED),
        *(AuditType.KEY_MADE, AuditType.KEY_REVOKED),
        *(AuditType.ROLLOUT_CHANGED, AuditType.ROLLOUT_DRILLED),
        *(AuditType.ROLLOUT_OWNER_ADDED, AuditType.ROLLOUT_OWNER_REMOVED),
    }
    assert (
        left
        | by_commands
        | {
            AuditType.SIGN_IN_REFUSED,
            AuditType.PROVIDER_ENABLE,
        }
        == OF_OPERATORS
    )
