from collections.abc import Mapping
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from pipeline.records import queries
from pipeline.runtime.database import session_of, user_session
from tests.integration.schema.conftest import ALICE, BOB, Belongings

VIEW = text("SELECT * FROM public_assets(:wanted)")


def test_the_view_shows_the_posts_that_were_asked_for_whoever_owns_them(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    wanted = [belongings[ALICE].post_id, belongings[BOB].post_id, uuid4()]
    with session_of(engines["public"]) as session:
        seen = session.execute(VIEW, {"wanted": wanted}).mappings().all()
        none = session.execute(VIEW, {"wanted": []}).all()

    assert {row["post_id"] for row in seen} == set(wanted[:2])
    assert none == []


def test_the_view_shows_nothing_of_how_it_came_about(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    with session_of(engines["public"]) as session:
        wanted = [belongings[ALICE].post_id]
        row = session.execute(VIEW, {"wanted": wanted}).mappings().one()

    internal = {"owner_id", "source_url", "provider", "provider_job_id", "error_code"}
    assert internal.isdisjoint(row)


def test_a_deleted_asset_is_not_shown(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    post_id = belongings[ALICE].post_id
    with user_session(engines["api"], ALICE) as session:
        session.execute(text("UPDATE video_assets SET deleted_at = now()"))

    with session_of(engines["public"]) as session:
        assert session.execute(VIEW, {"wanted": [post_id]}).all() == []


CONTENT = {
    *("title", "manifest_url", "fallback_url", "poster_url", "thumbnail_url", "storyboard_url"),
    "original",
}
STANDING_IN = dict.fromkeys(CONTENT - {"original"}, "'x'") | {
    "status": "'failed'",
    "error_code": "'encode_failed'",
    **dict.fromkeys(("next_attempt_at", "deadline_at"), "NULL"),
    "allow_original": "true",
    "source_url": "'storage:original/x'",
    "source_info": "'{}'",
}
"""An asset of which everything would be shown: its addresses, and its source."""


def expose(engines: Mapping[str, Engine], has: Belongings, **columns: str) -> None:
    assigned = ", ".join(f"{name} = {value}" for name, value in columns.items())
    with session_of(engines["superuser"]) as session:
        # Triggers keep the file that a source's address names.
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(
            text(f"UPDATE video_assets SET {assigned}, updated_at = now() WHERE id = :id"),
            {"id": has.asset_id},
        )


def test_of_a_signed_video_the_view_leaves_out_the_content_and_nothing_else(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    has = belongings[ALICE]
    expose(engines, has, **STANDING_IN)
    seen = {}
    for playback in ("public", "signed"):
        expose(engines, has, playback=f"'{playback}'")
        with session_of(engines["public"]) as session:
            seen[playback] = session.execute(VIEW, {"wanted": [has.post_id]}).mappings().one()

    assert all(seen["public"][name] is not None for name in CONTENT)
    changed = {name for name, shown in seen["public"].items() if seen["signed"][name] != shown}
    assert changed == CONTENT | {"playback", "updated_at"}
    assert all(seen["signed"][name] is None for name in CONTENT)


def test_the_whole_card_is_seen_by_its_owner_and_operators_only(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    has = belongings[ALICE]
    expose(engines, has, **STANDING_IN, playback="'signed'")

    with user_session(engines["api"], ALICE) as session:
        mine = queries.card_of_post(session, has.post_id)
    with user_session(engines["api"], BOB) as session:
        assert queries.card_of_post(session, has.post_id) is None
    with session_of(engines["operator"]) as session:
        assert queries.card_of_post(session, has.post_id) == mine
    assert mine is not None
    assert (mine.title, mine.manifest_url) == ("x", "x")
    with (
        session_of(engines["public"]) as session,
        pytest.raises(ProgrammingError, match="permission denied"),
    ):
        queries.card_of_post(session, has.post_id)


@pytest.mark.parametrize(
    "missing",
    [
        {"status": "'queued'", "error_code": "NULL", "deadline_at": "now()"},
        {"published_output_id": "gen_random_uuid()"},
        {"allow_original": "false"},
        {"source_info": "NULL"},
        {"source_url": "'https://videos.example/a.mp4'"},
    ],
    ids=lambda missing: next(iter(missing)),
)
def test_the_view_names_no_source_that_the_row_alone_rules_out(
    engines: Mapping[str, Engine],
    belongings: Mapping[str, Belongings],
    missing: dict[str, str],
) -> None:
    has = belongings[ALICE]
    expose(engines, has, **STANDING_IN | missing)

    with session_of(engines["public"]) as session:
        row = session.execute(VIEW, {"wanted": [has.post_id]}).mappings().one()

    assert row["original"] is None


FAILED = "status = 'failed', error_code = 'encode_failed', deadline_at = NULL"
UPLOADED = """INSERT INTO video_assets (id, post_id, owner_id, upload_id, max_attempts, provider,
                  status, error_code, deadline_at, allow_original, source_info)
              VALUES (:id, gen_random_uuid(), 'alice', :id, 5, 'selfhosted',
                  'failed', 'encode_failed', NULL, true, '{}')"""


def test_of_uploads_the_view_reaches_those_that_stand_in_and_no_others(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    upload = {"id": belongings[ALICE].upload_id}
    with session_of(engines["superuser"]) as session:
        session.execute(text(UPLOADED), upload)

    for columns, reached in (
        (f"{FAILED}, allow_original = true", ["k"]),
        (
            "status = 'queued', error_code = NULL, deadline_at = now(), allow_original = true",
            [],
        ),
        (f"{FAILED}, allow_original = false", []),
    ):
        with session_of(engines["superuser"]) as session:
            session.execute(text(f"UPDATE video_assets SET {columns} WHERE id = :id"), upload)
        with session_of(engines["owner"]) as session:
            session.execute(text("SET LOCAL ROLE khronika_viewer"))
            assert session.scalars(text("SELECT storage_key FROM uploads")).all() == reached


PUBLISHED = text("SELECT * FROM public_output(:asset)")
GRANTED = text("SELECT * FROM khronika_output(:asset)")


def publish_output(engines: Mapping[str, Engine], has: Belongings, **columns: str) -> None:
    """Publish the output of the owner's attempt, at a vendor's address."""
    with session_of(engines["worker"]) as session:
        output = session.scalars(
            text("SELECT id FROM video_outputs WHERE asset_id = :id"), {"id": has.asset_id}
        ).one()
    expose(
        engines,
        has,
        published_output_id=f"'{output}'",
        manifest_url="'https://vendor.example/m.m3u8'",
        **columns,
    )


@pytest.mark.parametrize("part", ["public", "api"])
def test_the_output_of_a_public_video_is_found_with_its_account(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings], part: str
) -> None:
    has = belongings[ALICE]
    publish_output(engines, has)
    with session_of(engines[part]) as session:
        row = session.execute(PUBLISHED, {"asset": has.asset_id}).mappings().one()
        other = session.execute(PUBLISHED, {"asset": belongings[BOB].asset_id}).all()

    assert (row["provider"], row["manifest_url"]) == ("selfhosted", "https://vendor.example/m.m3u8")
    assert set(row) == {"playback", "provider", *(CONTENT - {"title", "original"})}
    assert other == []


def test_a_signed_videos_output_is_the_apis_alone_to_look_up(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    has = belongings[ALICE]
    publish_output(engines, has, playback="'signed'")
    with session_of(engines["public"]) as session:
        assert session.execute(PUBLISHED, {"asset": has.asset_id}).all() == []
    with session_of(engines["api"]) as session:
        assert session.execute(GRANTED, {"asset": has.asset_id}).one().provider == "selfhosted"
    for part in ("public", "worker", "operator"):
        with (
            session_of(engines[part]) as session,
            pytest.raises(ProgrammingError, match="permission denied"),
        ):
            session.execute(GRANTED, {"asset": has.asset_id})


@pytest.mark.parametrize("columns", [{"deleted_at": "now()"}, {"published_output_id": "NULL"}])
def test_a_deleted_or_unpublished_video_has_no_output(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings], columns: dict[str, str]
) -> None:
    has = belongings[ALICE]
    publish_output(engines, has)
    expose(engines, has, **columns)
    with session_of(engines["api"]) as session:
        assert session.execute(GRANTED, {"asset": has.asset_id}).all() == []


def test_of_outputs_and_attempts_the_view_reaches_the_published_ones_only(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    publish_output(engines, belongings[ALICE])
    with session_of(engines["owner"]) as session:
        session.execute(text("SET LOCAL ROLE khronika_viewer"))
        attempts = session.scalars(text("SELECT id FROM provider_attempts")).all()
        outputs = session.scalars(text("SELECT attempt_id FROM video_outputs")).all()

    assert attempts == outputs == [belongings[ALICE].attempt_id]
