"""A row of every table, for an owner or for nobody, and who writes it in the product."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from uuid import UUID, uuid4

import psycopg

OWNERS: Mapping[str, int] = {"alice": 1, "bob": 2}
"""How many rows of each table an owner has: a count alone then tells whose rows were counted."""


class Row(NamedTuple):
    """How a row is made.

    Attributes:
        writer: The part whose login makes it.
        insert: The statement; its parameters are the fields of ``Ids``.
    """

    writer: str
    insert: str


@dataclass(frozen=True)
class Ids:
    """What a row of ``owner`` hangs on.

    Attributes:
        fresh: In no row yet.
        number: In no row of this owner's yet.
    """

    owner: str
    number: int = 1
    fresh: UUID = field(default_factory=uuid4)
    asset: UUID = field(default_factory=uuid4)
    attempt: UUID = field(default_factory=uuid4)
    upload: UUID = field(default_factory=uuid4)


# In this order: later rows hang on earlier ones.
ROWS: Mapping[str, Row] = {
    "video_assets": Row(
        "api",
        """INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider,
               deadline_at, last_seq)
           VALUES (%(asset)s, %(fresh)s, %(owner)s, 'https://a.example/', 5, 'selfhosted', now(),
               1)""",
    ),
    "video_processing_events": Row(
        "api",
        """INSERT INTO video_processing_events (asset_id, seq, type, actor, generation)
           VALUES (%(asset)s, %(number)s, 'created', 'owner:' || %(owner)s, 1)""",
    ),
    "provider_attempts": Row(
        "worker",
        """INSERT INTO provider_attempts (id, asset_id, generation, number, provider)
           VALUES (%(attempt)s, %(asset)s, 1, %(number)s, 'selfhosted')""",
    ),
    "video_outputs": Row(
        "worker",
        """INSERT INTO video_outputs (id, asset_id, generation, attempt_id, manifest_url,
               fallback_url, poster_url, thumbnail_url, renditions, duration_sec, width, height)
           VALUES (%(fresh)s, %(asset)s, 1, %(attempt)s, 'm', 'f', 'p', 't', '[]', 1, 2, 2)""",
    ),
    "uploads": Row(
        "api",
        """INSERT INTO uploads (id, owner_id, post_id, filename, mime_type, size_bytes,
               storage_key, expires_at)
           VALUES (%(upload)s, %(owner)s, %(fresh)s, 'a.mp4', 'video/mp4', 1, 'k', now())""",
    ),
    "upload_parts": Row(
        "api",
        """INSERT INTO upload_parts (upload_id, number, size_bytes, etag)
           VALUES (%(upload)s, %(number)s, 1, 'e')""",
    ),
    "idempotency_keys": Row(
        "api",
        """INSERT INTO idempotency_keys (owner_id, route, key, request_sha256, expires_at)
           VALUES (%(owner)s, 'create', %(fresh)s::text, '', now())""",
    ),
    "owner_usage": Row(
        "api",
        """INSERT INTO owner_usage (owner_id, day)
           VALUES (%(owner)s, date '2000-01-01' + %(number)s)""",
    ),
    "provider_spend": Row(
        "worker",
        """INSERT INTO provider_spend (provider, hour) VALUES (%(fresh)s::text, now())""",
    ),
    "provider_breakers": Row(
        "worker",
        """INSERT INTO provider_breakers (provider) VALUES (%(fresh)s::text)""",
    ),
    "provider_accounts": Row(
        "worker",
        """INSERT INTO provider_accounts (provider) VALUES (%(fresh)s::text)""",
    ),
    "provider_pace": Row(
        "worker",
        """INSERT INTO provider_pace (provider, verb, free_at)
           VALUES (%(fresh)s::text, 'read', now())""",
    ),
    "provider_secrets": Row(
        "operator",
        """INSERT INTO provider_secrets (id, provider, secret)
           VALUES (%(fresh)s, %(fresh)s::text, 'sealed')""",
    ),
    "api_keys": Row(
        "operator",
        """INSERT INTO api_keys (id, name, secret_sha256, owner_id, scopes)
           VALUES (%(fresh)s, 'k', %(fresh)s::text, %(owner)s, '{}')""",
    ),
    "webhook_deliveries": Row(
        "api",
        """INSERT INTO webhook_deliveries (id, provider, event_id, headers, body, body_sha256)
           VALUES (%(fresh)s, 'selfhosted', %(fresh)s::text, '{}', '', '')""",
    ),
    "rollout_owners": Row(
        "operator",
        """INSERT INTO rollout_owners (owner_id, added_by)
           VALUES (%(fresh)s::text, 'operator:' || %(owner)s)""",
    ),
    "cache_purges": Row(
        "worker",
        "INSERT INTO cache_purges (asset_id, reason) VALUES (%(asset)s, 'deleted')",
    ),
    "worker_presence": Row(
        "worker",
        "INSERT INTO worker_presence (process, queues) VALUES (%(fresh)s::text, '{submit}')",
    ),
    "task_runs": Row("worker", "INSERT INTO task_runs (task) VALUES (%(fresh)s::text)"),
    "audit_events": Row(
        "operator",
        """INSERT INTO audit_events (type, actor, detail)
           VALUES ('retry', 'operator:' || %(owner)s, '{}')""",
    ),
}


def seed(role_urls: Mapping[str, str]) -> Mapping[str, Ids]:
    """Make everybody's rows; what the first row of each owner hangs on is returned."""
    belongings = {
        owner: [Ids(owner, number) for number in range(1, count + 1)]
        for owner, count in OWNERS.items()
    }
    for row in ROWS.values():
        for owner, each in belongings.items():
            with psycopg.connect(role_urls[row.writer]) as connection:
                become(connection, owner)
                for ids in each:
                    connection.execute(row.insert, vars(ids))
    return {owner: each[0] for owner, each in belongings.items()}


def another(table: str, ids: Ids) -> Ids:
    """For one more row of this table, hanging on what is there already."""
    new = replace(ids, fresh=uuid4(), number=1000)
    match table:
        case "video_assets":
            return replace(new, asset=uuid4())
        case "provider_attempts":
            return replace(new, attempt=uuid4())
        case "uploads":
            return replace(new, upload=uuid4())
    return new


def become(connection: psycopg.Connection, user_id: str) -> None:
    """What ``user_session`` does: the rest of the transaction is this user's."""
    connection.execute("SELECT set_config('khronika.user_id', %s, true)", [user_id])
