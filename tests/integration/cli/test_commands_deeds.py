"""Every command: an operator's deed leaves one row in the audit, and a look leaves none."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from getpass import getuser
from socket import gethostname
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text
from typer.core import TyperGroup
from typer.main import get_command

from cli.main import app
from pipeline.access.api_keys import NewKey, make_key
from pipeline.domain.audit_types import AuditType
from pipeline.records.models import AuditEvent
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import SECRET_KEY, Client, World
from tests.integration.cli.conftest import Ran, Site, khronika
from tests.integration.cli.test_move import completed
from tests.integration.cli.test_provider_audit import Books, theirs
from tests.vendors.fake import serving
from tests.vendors.mux import FakeMux


@dataclass(frozen=True)
class Bench:
    """What a command works on."""

    api: Client
    world: World
    operator: Engine
    mux: FakeMux
    env: Mapping[str, str]

    def rows(self) -> list[AuditEvent]:
        with session_of(self.operator) as session:
            return list(session.scalars(select(AuditEvent).order_by(AuditEvent.id)))

    def key(self) -> str:
        with session_of(self.operator) as session:
            made = make_key(
                session, NewKey("k", None, ["operator"]), actor="operator:o", source="s"
            )
        return str(made.row.id)

    def rolled_post(self) -> str:
        """A post with outputs that were replaced a moment ago."""
        [asset_id] = completed(self.api, self.world, 1)
        with session_of(self.world.superuser) as session:
            session.execute(
                text("""
                    WITH attempt AS (
                        INSERT INTO provider_attempts (id, asset_id, generation, number, provider)
                        VALUES (gen_random_uuid(), :asset, 1, 2, 'selfhosted') RETURNING id)
                    INSERT INTO video_outputs (id, asset_id, generation, attempt_id, manifest_url,
                        fallback_url, poster_url, thumbnail_url, renditions, duration_sec, width,
                        height, verified_at, retired_at)
                    SELECT gen_random_uuid(), :asset, 1, id, 'storage:m', 'storage:f', 'storage:p',
                        'storage:t', '[]', 5, 1280, 720, now(), now() FROM attempt
                """),
                {"asset": UUID(asset_id)},
            )
        return str(self.world.asset(asset_id).post_id)

    def overlap(self) -> None:
        assert khronika("secrets", "rotate", "selfhosted", env=self.env).code == 0

    def orphan(self) -> None:
        theirs(self.mux)

    def video(self) -> None:
        completed(self.api, self.world, 1)

    def taken_back(self) -> None:
        assert khronika("rollout", "back", env=self.env).code == 0

    def listed(self) -> None:
        assert khronika("rollout", "add", "ana", env=self.env).code == 0

    def owed(self) -> None:
        books = Books(self.world, self.api)
        books.attempt("job-1", "accepted", provider="gone", requested=True)


class Command(NamedTuple):
    """A command of an operator.

    Attributes:
        prepare: Makes what it works on; returns further arguments.
        leaves: The type of the one row that it leaves; None for a look.
    """

    arguments: tuple[str, ...]
    leaves: AuditType | None
    prepare: Callable[[Bench], Sequence[str] | None] = lambda _bench: None


def _posts(bench: Bench) -> None:
    Site(bench.env["DATABASE_URL"]).post()


def _look(*arguments: str) -> Command:
    return Command(arguments, None)


PROVIDERS: Mapping[str, AuditType] = {
    "enable": AuditType.PROVIDER_ENABLE,
    "drain": AuditType.PROVIDER_DRAIN,
    "disable": AuditType.PROVIDER_DISABLE,
}
MOVE = ("--from", "selfhosted", "--to", "house", "--rate", "6000")

COMMANDS: Mapping[str, tuple[Command, ...]] = {
    "ops-link": (Command((), AuditType.LINK_MADE),),
    "backfill": (
        Command(("--posts-table", "posts"), AuditType.BACKFILL, _posts),
        Command(("--posts-table", "posts", "--enqueue"), AuditType.BACKFILL, _posts),
        Command(("--posts-table", "posts", "--dry-run"), None, _posts),
    ),
    "rollback": (Command((), AuditType.ROLLBACK, lambda bench: [bench.rolled_post()]),),
    "clean": (Command((), AuditType.CLEAN), Command(("--dry-run",), None)),
    "move": (
        Command(MOVE, AuditType.MOVE, Bench.video),
        Command((*MOVE, "--dry-run"), None),
    ),
    "doctor": (_look(),),
    "audit verify": (_look(),),
    "keys make": (Command(("--name", "k", "--scope", "operator"), AuditType.KEY_MADE),),
    "keys list": (_look(),),
    "keys revoke": (Command((), AuditType.KEY_REVOKED, lambda bench: [bench.key()]),),
    "secrets list": (_look(),),
    "secrets rotate": (Command(("selfhosted",), AuditType.SECRET_ROTATED),),
    "secrets retire": (Command(("selfhosted",), AuditType.SECRET_RETIRED, Bench.overlap),),
    "providers list": (_look(),),
    **{
        f"providers {name}": (Command(("selfhosted",), type_),) for name, type_ in PROVIDERS.items()
    },
    "rollout status": (_look(),),
    "rollout owners": (_look(),),
    "rollout advance": (
        Command((), None),
        Command(("--force",), AuditType.ROLLOUT_CHANGED, Bench.taken_back),
    ),
    "rollout back": (Command((), AuditType.ROLLOUT_CHANGED),),
    "rollout drill": (Command((), AuditType.ROLLOUT_DRILLED),),
    "rollout add": (Command(("ana",), AuditType.ROLLOUT_OWNER_ADDED),),
    "rollout remove": (Command(("ana",), AuditType.ROLLOUT_OWNER_REMOVED, Bench.listed),),
    "providers audit": (
        Command(("house",), None, Bench.orphan),
        Command(
            ("house", "--release"),
            AuditType.PROVIDER_RELEASE,
            lambda b: ["--job", theirs(b.mux).job_id],
        ),
    ),
    "providers write-off": (
        Command(("gone", "--yes"), AuditType.PROVIDER_WRITE_OFF, Bench.owed),
        Command(("gone",), None, Bench.owed),
    ),
}

OF_THE_API = frozenset(
    {"submit", "status", "events", "watch", "retry", "cancel", "reencode", "delete"}
)
"""They call routes, which have a table of their own."""
UNAUDITED: Mapping[str, str] = {
    "run": "it becomes a process of the product, whose own deeds have rows",
    "migrate": "it makes the audit; its login is the owner's, and no operator's",
    "token": "it signs with a secret and reaches no server; the token's use leaves a row",
    "providers new": "it writes files into this folder",
}


@pytest.fixture
def mux() -> Iterator[FakeMux]:
    fake = FakeMux()
    with serving(fake):
        yield fake


@pytest.fixture
def bench(
    api: Client, world: World, operator: Engine, mux: FakeMux, environment: Mapping[str, str]
) -> Bench:
    database = str(world.superuser.url.render_as_string(hide_password=False))
    with session_of(world.superuser) as session:
        session.execute(
            text(
                "CREATE TABLE posts (id uuid PRIMARY KEY, owner_id text, media_kind text,"
                " video_url text)"
            )
        )
        session.execute(text("GRANT SELECT ON posts TO khronika_operator"))
    env = {
        **environment,
        **mux.environment("house"),
        "KHRONIKA_ACCOUNTS": "selfhosted,house:mux",
        "KHRONIKA_PUBLIC_URL": api.url,
        "DATABASE_URL": database.replace("+psycopg", ""),
    }
    return Bench(api, world, operator, mux, env)


def _names(command: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from _names(inner, (*path, name))
    else:
        yield " ".join(path)


def test_every_command_is_a_deed_a_look_or_the_apis() -> None:
    every = set(_names(get_command(app)))
    assert every == {*COMMANDS, *OF_THE_API, *UNAUDITED}


CASES = [
    pytest.param(name, command, id=f"{name} {command.leaves or 'nothing'} {number}")
    for name, commands in COMMANDS.items()
    for number, command in enumerate(commands)
]


@pytest.mark.parametrize(("name", "command"), CASES)
def test_a_command_leaves_one_row_or_none(bench: Bench, name: str, command: Command) -> None:
    more = command.prepare(bench) or ()
    before = len(bench.rows())
    ran = khronika(*name.split(), *command.arguments, *more, "--json", env=bench.env)
    made = bench.rows()[before:]
    if command.leaves is None:
        assert made == []
        return
    assert ran.code in {0, 1}, ran.out + ran.err
    [row] = made
    assert (row.type, row.actor) == (command.leaves, f"operator:{getuser()}")
    assert row.source == gethostname()
    assert row.request_id
    _hold_no_secret(ran, row)


def _hold_no_secret(ran: Ran, row: AuditEvent) -> None:
    """The secrets that a command shows once are in its output and in no row."""
    shown = [line.get(name) for line in ran.lines for name in ("key", "secret", "url")]
    written = json.dumps(row.detail)
    secrets: list[Any] = [each for each in shown if each]
    assert all(str(each) not in written for each in [*secrets, SECRET_KEY])


def test_a_deed_that_cannot_be_written_down_is_not_done(bench: Bench) -> None:
    away = {**bench.env, "KHRONIKA_OPERATOR_DATABASE_URL": "postgresql://x@127.0.0.1:9/x"}
    [asset_id] = completed(bench.api, bench.world, 1)
    before = bench.world.asset(asset_id).updated_at
    job = theirs(bench.mux)
    for arguments in (
        ("move", *MOVE),
        ("providers", "audit", "house", "--release", "--job", job.job_id),
    ):
        ran = khronika(*arguments, "--json", env=away)
        assert ran.code == 4, ran.out + ran.err
    assert bench.world.asset(asset_id).updated_at == before
    assert job.job_id in {each.job_id for each in bench.mux.jobs.values() if not each.cancelled}
    assert bench.rows() == []
