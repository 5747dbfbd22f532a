"""The rollout at the API: owners to whom it has not come register nothing, and lose nothing."""

from uuid import uuid4

from sqlalchemy import text

from pipeline.runtime.database import session_of
from tests.integration.api.conftest import OWNER, STRANGER, Client, World
from tests.integration.api.test_audit import as_operator

FILE = {"filename": "walk.mp4", "size_bytes": 1000, "mime_type": "video/mp4"}


def roll_out(world: World, percent: int, *listed: str) -> None:
    with session_of(world.superuser) as session:
        session.execute(text("UPDATE rollout SET percent = :percent"), {"percent": percent})
        for owner in listed:
            session.execute(
                text("INSERT INTO rollout_owners (owner_id, added_by) VALUES (:owner, 'x')"),
                {"owner": owner},
            )


def test_outside_of_the_rollout_nothing_is_registered_and_the_answer_says_why(
    api: Client, world: World
) -> None:
    roll_out(world, 0, STRANGER)
    refused = api.create()
    assert (refused.status_code, refused.json()["code"]) == (403, "not_enrolled")
    assert refused.json()["retryable"] is False
    assert api.create(as_=STRANGER).status_code == 202
    ticket = api.post("/api/uploads", {"post_id": str(uuid4()), **FILE})
    assert (ticket.status_code, ticket.json()["code"]) == (403, "not_enrolled")
    ticket = api.post("/api/uploads", {"post_id": str(uuid4()), **FILE}, as_=STRANGER)
    assert ticket.status_code == 201


def test_a_refused_key_is_free_again_and_its_request_succeeds_later(
    api: Client, world: World
) -> None:
    roll_out(world, 0)
    post_id, headers = uuid4(), {"Idempotency-Key": "once"}
    assert api.create(post_id, headers=headers).status_code == 403
    roll_out(world, 100)
    assert api.create(post_id, headers=headers).status_code == 202


def test_videos_of_an_owner_who_is_out_again_go_on(api: Client, world: World) -> None:
    post_id = uuid4()
    assert api.create(post_id).status_code == 202
    roll_out(world, 0)
    assert api.create(post_id).status_code == 200
    assert api.get(f"/api/video-assets/{post_id}").status_code == 200
    assert api.post(f"/api/video-assets/{post_id}/cancel").status_code == 202
    assert api.post("/api/video-assets/retry", {"post_id": str(post_id)}).status_code == 202


def test_an_operator_registers_for_enrolled_owners_only(api: Client, world: World) -> None:
    roll_out(world, 0, STRANGER)
    answers = {
        owner: api.create(owner_id=owner, **as_operator()).status_code
        for owner in (OWNER, STRANGER)
    }
    assert answers == {OWNER: 403, STRANGER: 202}


def test_a_share_has_its_size_and_each_greater_share_holds_it(world: World) -> None:
    owners = [f"owner-{number}" for number in range(4000)]
    enrolled: dict[int, set[str]] = {}
    for percent in (0, 1, 5, 25, 50, 100):
        roll_out(world, percent)
        with session_of(world.superuser) as session:
            asked = text("""
                SELECT o FROM unnest(CAST(:owners AS text[])) o WHERE khronika_enrolled(o)
            """)
            enrolled[percent] = set(session.scalars(asked, {"owners": owners}))
    assert enrolled[0] == set()
    assert enrolled[100] == set(owners)
    for smaller, greater in ((1, 5), (5, 25), (25, 50)):
        assert enrolled[smaller] < enrolled[greater]
        share = 100 * len(enrolled[greater]) / len(owners)
        assert 0.8 * greater < share < 1.2 * greater
