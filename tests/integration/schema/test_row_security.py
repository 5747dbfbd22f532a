"""What row-level security holds beyond who reaches which table."""

from collections.abc import Mapping

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from pipeline.runtime.database import session_of, user_session
from tests.integration.schema.conftest import ALICE, BOB, Belongings

OWNED = (
    "provider_attempts",
    "video_outputs",
    "video_processing_events",
    "uploads",
    "idempotency_keys",
)


def test_an_owner_cannot_give_a_row_away(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        user_session(engines["api"], ALICE) as session,
    ):
        session.execute(text("UPDATE idempotency_keys SET owner_id = 'bob'"))


@pytest.mark.parametrize("column", ["owner_id", "post_id", "manifest_url", "published_output_id"])
def test_whose_a_video_is_and_what_is_published_no_owner_changes(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings], column: str
) -> None:
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        user_session(engines["api"], ALICE) as session,
    ):
        session.execute(text(f"UPDATE video_assets SET {column} = {column}"))


def test_no_video_is_born_completed(engines: Mapping[str, Engine]) -> None:
    forge = text("""
        INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider,
            status, published_output_id, manifest_url)
        VALUES (gen_random_uuid(), gen_random_uuid(), 'alice', 'https://a.example/', 5,
            'selfhosted', 'completed', gen_random_uuid(), 'https://elsewhere.example/master.m3u8')
    """)
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        user_session(engines["api"], ALICE) as session,
    ):
        session.execute(forge)


@pytest.mark.parametrize(
    ("type_", "actor", "provider"),
    [
        ("retry", "operator:alice", None),
        ("callback_rejected", "operator:alice", "selfhosted"),
        ("retry", "provider:selfhosted", "selfhosted"),
        ("callback_rejected", "provider:other", "selfhosted"),
        ("callback_rejected", "provider:selfhosted", None),
    ],
    ids=["an operator's", "an operator's name", "an action", "another's", "nobody's"],
)
def test_the_apis_login_audits_callbacks_and_no_act_of_an_operator(
    engines: Mapping[str, Engine], type_: str, actor: str, provider: str | None
) -> None:
    forge = text("INSERT INTO audit_events (type, actor, provider) VALUES (:t, :a, :p)")
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        user_session(engines["api"], ALICE) as session,
    ):
        session.execute(forge, {"t": type_, "a": actor, "p": provider})


FOUND_OUT_LATER: Mapping[str, tuple[str, ...]] = {
    "video_assets": (
        *("status", "manifest_url", "published_output_id", "source_info", "attempt_id"),
        "hold_reason",
    ),
    "uploads": (
        *("received_bytes", "source_info", "completed_at", "claimed_at"),
        *("checking_until", "checks", "refusal"),
    ),
    "upload_parts": ("received_at",),
    "idempotency_keys": ("response",),
    "webhook_deliveries": ("tries", "asset_id"),
    "audit_events": ("created_at",),
}


def test_what_is_found_out_later_no_new_row_claims(engines: Mapping[str, Engine]) -> None:
    # Rights are looked at before the row is: that it is none otherwise does not matter.
    for table, columns in FOUND_OUT_LATER.items():
        for column in columns:
            with (
                pytest.raises(ProgrammingError, match="permission denied"),
                user_session(engines["api"], ALICE) as session,
            ):
                session.execute(text(f"INSERT INTO {table} ({column}) VALUES (NULL)"))


@pytest.mark.parametrize("actor", ["owner:bob", "worker", "operator:alice"])
def test_an_owner_writes_events_in_no_other_name(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings], actor: str
) -> None:
    forge = text("""
        INSERT INTO video_processing_events (asset_id, seq, type, actor, generation)
        VALUES (:asset_id, 2, 'retried', :actor, 1)
    """)
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        user_session(engines["api"], ALICE) as session,
    ):
        session.execute(forge, vars(belongings[ALICE]) | {"actor": actor})


def test_an_owner_cannot_append_to_a_strangers_chronicle(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    forge = text("""
        INSERT INTO video_processing_events (asset_id, seq, type, actor, generation)
        VALUES (:asset_id, 2, 'retried', 'owner:alice', 1)
    """)
    with (
        pytest.raises(ProgrammingError, match="no such asset"),
        user_session(engines["api"], ALICE) as session,
    ):
        session.execute(forge, vars(belongings[BOB]))


# Of video_assets the owner sees what everybody may see: it made the public function over to
# khronika_viewer, which takes being a member of it.
@pytest.mark.parametrize("table", OWNED)
def test_row_security_holds_for_the_tables_owner_too(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings], table: str
) -> None:
    with session_of(engines["owner"]) as session:
        if session.scalar(text("SHOW is_superuser")) == "on":
            pytest.skip("DATABASE_URL's login is a superuser, whom nothing binds")
        assert session.scalar(text(f"SELECT count(*) FROM {table}")) == 0
