from collections.abc import Mapping
from datetime import datetime, timedelta
from getpass import getuser
from socket import gethostname
from uuid import uuid4

import pytest
from sqlalchemy import Engine, select

from pipeline.records.models import AuditEvent
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import Client
from tests.integration.cli.conftest import Site, khronika


def audits(operator: Engine) -> list[AuditEvent]:
    with session_of(operator) as session:
        return list(session.scalars(select(AuditEvent).order_by(AuditEvent.id)))


def test_a_key_is_made_used_listed_and_revoked(api: Client, environment: Mapping[str, str]) -> None:
    scopes = ("--scope", "assets:read", "--scope", "assets:write")
    owned = ("--name", "site", "--owner", "ana", "--expires-in", "90d")
    made = khronika("keys", "make", *owned, *scopes, "--json", env=environment)
    assert made.code == 0, made.out
    key = made.document.pop("key")
    shown = {name: value for name, value in made.document.items() if name != "key"}
    assert (shown["name"], shown["owner_id"]) == ("site", "ana")
    assert shown["scopes"] == ["assets:read", "assets:write"]
    lasts = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(
        shown["created_at"]
    )
    assert abs(lasts - timedelta(days=90)) < timedelta(minutes=1)

    with_key = {"KHRONIKA_URL": api.url, "KHRONIKA_TOKEN": key}
    sent = khronika("submit", "https://videos.example/a.mp4", "--json", env=with_key)
    assert (sent.code, sent.document["owner_id"]) == (0, "ana")

    listed = khronika("keys", "list", "--json", env=environment)
    assert listed.document["id"] == shown["id"]
    assert listed.document["last_used_at"] is not None
    assert key not in listed.out

    for _ in range(2):
        revoked = khronika("keys", "revoke", shown["id"], "--json", env=environment)
        assert (revoked.code, bool(revoked.document["revoked_at"])) == (0, True)
    refused = khronika("status", sent.document["post_id"], "--json", env=with_key)
    assert (refused.code, refused.document["error"]["code"]) == (3, "token_invalid")


def test_who_made_and_revoked_a_key_is_written_down_once(
    environment: Mapping[str, str], operator: Engine
) -> None:
    wanted = ("--name", "console", "--scope", "operator", "--json")
    made = khronika("keys", "make", *wanted, env=environment).document
    for _ in range(2):
        khronika("keys", "revoke", made["id"], env=environment)
    written = audits(operator)
    assert [audit.type for audit in written] == ["key_made", "key_revoked"]
    assert {(audit.actor, audit.source) for audit in written} == {
        (f"operator:{getuser()}", gethostname())
    }
    assert {audit.detail["key_id"] for audit in written} == {made["id"]}
    assert made["key"] not in str([audit.detail for audit in written])


def test_a_person_is_shown_the_key_once_and_told_so(environment: Mapping[str, str]) -> None:
    made = khronika(
        "keys", "make", "--name", "site", "--owner", "ana", "--scope", "playback", env=environment
    )
    key = made.out.splitlines()[0]
    assert key.startswith("khv_")
    assert "not shown again" in made.out
    listed = khronika("keys", "list", env=environment)
    assert "site of ana: playback" in listed.out
    assert key not in listed.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("make", "--name", "x", "--scope", "operator", "--owner", "ana"), 3, "scopes_unsuitable"),
        (("make", "--name", "x", "--scope", "everything"), 3, "scope_unknown"),
        (("revoke", uuid4()), 3, "key_not_found"),
    ],
)
def test_what_cannot_be_made_or_revoked_says_why(
    environment: Mapping[str, str], arguments: tuple[object, ...], code: int, said: str
) -> None:
    ran = khronika("keys", *arguments, "--json", env=environment)
    assert (ran.code, ran.document["error"]["code"]) == (code, said)


@pytest.mark.parametrize("time", ["", "0d", "90", "d", "1y", "-1d", "999999999d"])
def test_a_time_that_is_none_is_a_usage_error(environment: Mapping[str, str], time: str) -> None:
    wanted = ("--name", "x", "--scope", "operator", "--expires-in", time)
    assert khronika("keys", "make", *wanted, env=environment).code == 2


def test_without_a_database_a_key_is_not_made_and_the_command_says_what_to_do(
    environment: Mapping[str, str],
) -> None:
    away = {**environment, "KHRONIKA_OPERATOR_DATABASE_URL": "postgresql://x@127.0.0.1:9/x"}
    ran = khronika("keys", "list", "--json", env=away)
    assert (ran.code, ran.document["error"]["code"]) == (4, "database_unavailable")
    unset = {name: value for name, value in environment.items() if "DATABASE" not in name}
    ran = khronika("keys", "list", "--json", env=unset)
    assert (ran.code, ran.document["error"]["code"]) == (2, "not_configured")


def test_a_page_of_a_backfill_is_written_down_if_it_registered_or_queued(
    site: Site, environment: Mapping[str, str], operator: Engine
) -> None:
    site.post()
    site.post()
    khronika("backfill", "--posts-table", "posts", "--dry-run", env=environment)
    assert audits(operator) == []
    khronika("backfill", "--posts-table", "posts", env=environment)
    khronika("backfill", "--posts-table", "posts", "--enqueue", "--dry-run", env=environment)
    khronika("backfill", "--posts-table", "posts", env=environment)
    khronika("backfill", "--posts-table", "posts", "--enqueue", env=environment)
    khronika("backfill", "--posts-table", "posts", "--enqueue", env=environment)
    done = [(row.detail["registered"], row.detail["enqueued"]) for row in audits(operator)]
    assert {(row.type, row.actor) for row in audits(operator)} == {
        ("backfill", f"operator:{getuser()}")
    }
    assert done == [(2, 0), (0, 2)]
