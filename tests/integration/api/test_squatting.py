"""A stranger cannot take a post before its owner does."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests
from sqlalchemy import event

from pipeline.records.models import Asset, AuditEvent, Upload
from tests.integration.api.conftest import OWNER, STRANGER, Client, World, serving, token

Take = Callable[..., requests.Response]


def take_by_create(api: Client, post_id: UUID, **options: Any) -> requests.Response:
    return api.create(post_id, **options)


def take_by_upload(api: Client, post_id: UUID, **options: Any) -> requests.Response:
    sent = {name: options.pop(name) for name in ("as_", "headers") if name in options}
    file = {"filename": "a.mp4", "size_bytes": 1000, "mime_type": "video/mp4"}
    return api.post("/api/uploads", {"post_id": str(post_id), **file, **options}, **sent)


both_ways = pytest.mark.parametrize("take", [take_by_create, take_by_upload])


def bearing(subject: str | None = OWNER, **claims: Any) -> dict[str, Any]:
    return {"as_": None, "headers": {"Authorization": f"Bearer {token(subject, **claims)}"}}


def told(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def rows(world: World) -> int:
    return world.count(Asset) + world.count(Upload)


@pytest.fixture
def claiming(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("KHRONIKA_POST_CLAIM", "required")
    with serving(monkeypatch) as client:
        yield client


@both_ways
def test_only_its_owner_takes_a_post_of_the_sites_table(
    with_posts: Client, posts: Callable[[str], UUID], world: World, take: Take
) -> None:
    post_id = posts(OWNER)
    assert told(take(with_posts, post_id, as_=STRANGER)) == (404, "post_not_found")
    assert rows(world) == 0
    assert take(with_posts, post_id).ok
    assert rows(world) == 1


@both_ways
def test_a_strangers_post_cannot_be_told_from_none_by_answer_or_statements(
    with_posts: Client, posts: Callable[[str], UUID], take: Take
) -> None:
    asked: list[str] = []

    @event.listens_for(with_posts.services.engines.api, "before_cursor_execute")
    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    def tried(post_id: UUID) -> tuple[dict[str, Any], list[str]]:
        asked.clear()
        document = take(with_posts, post_id).json() | {"request_id": ""}
        return document, list(asked)

    tried(uuid4())  # the connection's own first statements
    assert tried(posts(STRANGER)) == tried(uuid4())
    assert any("author" in statement for statement in asked)


@both_ways
def test_an_operator_too_names_the_owner_that_the_sites_table_knows(
    with_posts: Client, posts: Callable[[str], UUID], world: World, take: Take
) -> None:
    post_id = posts(OWNER)
    ops = bearing("ops", role="service_role")
    assert told(take(with_posts, post_id, owner_id=STRANGER, **ops)) == (404, "post_not_found")
    assert world.count(AuditEvent) == 0
    assert take(with_posts, post_id, owner_id=OWNER, **ops).ok


@both_ways
def test_where_a_claim_is_required_the_token_names_the_post(
    claiming: Client, world: World, take: Take
) -> None:
    post_id = uuid4()
    for wrong in ({}, {"post_id": str(uuid4())}, {"post_id": [str(uuid4())]}, {"post_id": "*"}):
        assert told(take(claiming, post_id, **bearing(**wrong))) == (403, "post_not_claimed")
    assert rows(world) == 0
    assert take(claiming, post_id, **bearing(post_id=str(post_id))).ok
    other = uuid4()
    assert take(claiming, other, **bearing(post_id=[str(uuid4()), str(other)])).ok


@both_ways
def test_an_operator_needs_no_claim_and_names_the_owner(
    claiming: Client, world: World, take: Take
) -> None:
    ops = bearing("ops", role="service_role")
    assert told(take(claiming, uuid4(), **ops)) == (422, "owner_id_missing")
    assert rows(world) == 0
    assert take(claiming, uuid4(), owner_id=STRANGER, **ops).ok
    made = world.only(Asset if take is take_by_create else Upload)
    assert made.owner_id == STRANGER


@both_ways
def test_an_owner_acts_for_nobody_else(api: Client, world: World, take: Take) -> None:
    assert told(take(api, uuid4(), owner_id=STRANGER)) == (422, "owner_not_yours")
    assert rows(world) == 0
    assert take(api, uuid4(), owner_id=OWNER).ok


@both_ways
def test_one_who_only_reads_takes_nothing(api: Client, world: World, take: Take) -> None:
    eve = bearing("eve", role="operator_read")
    assert told(take(api, uuid4(), owner_id=OWNER, **eve)) == (403, "role_not_allowed")
    assert rows(world) == 0


def test_an_operator_gets_no_other_owners_video_for_the_named_ones(api: Client) -> None:
    post_id = uuid4()
    ops = bearing("ops", role="service_role")
    api.create(post_id, as_=STRANGER)
    assert told(api.create(post_id, owner_id=OWNER, **ops)) == (404, "post_not_found")
    assert api.create(post_id, owner_id=STRANGER, **ops).status_code == 200


def test_an_operator_makes_no_video_of_another_owners_upload(api: Client, world: World) -> None:
    post_id = uuid4()
    ops = bearing("ops", role="service_role")
    upload_id = take_by_upload(api, post_id, as_=STRANGER).json()["upload_id"]
    answer = api.create(post_id, upload_id=upload_id, owner_id=OWNER, **ops)
    assert told(answer) == (404, "upload_not_found")
    own = api.create(post_id, upload_id=upload_id, owner_id=STRANGER, **ops)
    assert told(own) == (409, "upload_incomplete")
    stored = f"storage:original/{STRANGER}/{post_id}/x/source.mp4"
    assert told(api.create(source_url=stored, owner_id=OWNER, **ops)) == (422, "url_refused")
    assert world.count() == 0
