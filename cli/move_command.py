"""The move of videos to another provider account. It needs a worker's settings.

It imports the modules of the pipeline when it runs, as in ``cli.operator_commands``.
"""

import time
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command_errors import CommandFailed, ExitCode
from cli.command_output import CommandOutput
from cli.options import DryRun, Limit, with_output

if TYPE_CHECKING:
    from pipeline.operations.move import Move
    from pipeline.services import Services

LOOK_SEC = 5.0
"""Interval of looks while the new account has enough to do."""


@with_output
def move(
    output: CommandOutput,
    *,
    source: Annotated[str, typer.Option("--from", metavar="PROVIDER", help="The old account.")],
    target: Annotated[str, typer.Option("--to", metavar="PROVIDER", help="The new account.")],
    rate: Annotated[
        float, typer.Option(min=0.01, max=6000, metavar="N", help="Videos to queue in a minute.")
    ] = 10.0,
    limit: Limit = None,
    without_captions: Annotated[
        bool,
        typer.Option("--without-captions", help="Move videos too whose captions would be lost."),
    ] = False,
    delivered_minutes: Annotated[
        float | None,
        typer.Option(min=0, metavar="N", help="Minutes delivered in a month, by the old bill."),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Encode an account's published videos at another account, and publish them from there.

    First it prints the number of videos, their minutes and the estimated cost. Viewers notice
    nothing: a video's outputs stay published until the new ones have passed all checks, and its
    addresses stay the same. The old account's jobs are released a day later. An interrupted run is
    continued by running it again. A dry run says for each video if it would be made from its
    original, or from its published MP4 because the original is gone.
    """
    from cli.operator_session import worker_services
    from pipeline.domain.errors import NotFound
    from pipeline.operations.move import Move

    if source == target:
        raise CommandFailed(
            ExitCode.USAGE, "same_account", "Both accounts are the same.", "Name another one."
        )
    with worker_services() as services:
        if target not in services.providers:
            raise NotFound("unknown_provider", f"There is no provider account {target!r}.")
        wanted = Move(source, target, without_captions)
        _show_preview(output, services, wanted, delivered_minutes)
        if dry_run:
            _show_origins(output, services, wanted)
        else:
            _show_result(output, wanted, _queue(services, wanted, rate, limit))


def _show_preview(
    output: CommandOutput, services: "Services", wanted: "Move", delivered_minutes: float | None
) -> None:
    from pipeline.operations.move import preview_move
    from pipeline.runtime.database import session_of

    accounts = services.settings.accounts.by_name
    prices = {name: account.settings.prices for name, account in accounts.items()}
    with session_of(services.engine) as session:
        delivered_sec = None if delivered_minutes is None else delivered_minutes * 60
        found = preview_move(session, wanted, prices, delivered_sec=delivered_sec)
    minutes = found.media_sec / 60
    shown = {name: value for name, value in asdict(found).items() if name != "media_sec"}
    output.data({"kind": "preview", **asdict(wanted), **shown, "minutes": round(minutes, 1)})
    output.show(
        f"{found.videos} videos, {minutes:.1f} minutes; encoding costs about "
        f"{found.encoding_cost:.2f}, storage {found.monthly_cost_change:+.2f} a month"
    )
    if found.delivery_cost_change is not None:
        output.show(
            f"delivering {delivered_minutes:g} minutes a month costs "
            f"{found.delivery_cost_change:+.2f} a month"
        )
    output.show(f"{found.under_way} on their way, {found.failed} failed and to be retried")
    if found.captioned:
        fate = "lose them" if wanted.without_captions else "stay"
        output.show(f"{found.captioned} have captions at {wanted.source} and {fate}")
    if wanted.source not in accounts:
        output.show(f"{wanted.source} is not configured: its jobs cannot be released.")


def _show_origins(output: CommandOutput, services: "Services", wanted: "Move") -> None:
    from pipeline.content.published_copy import origin_of
    from pipeline.operations.move import movable
    from pipeline.runtime.database import session_of

    counts = Counter[str]()
    with session_of(services.engine) as session:
        ids = movable(session, wanted)
    for asset_id in ids:
        origin = origin_of(services, asset_id).value
        counts[origin] += 1
        output.data({"kind": "video", "asset_id": str(asset_id), "made_from": origin})
        if origin != "original":
            output.show(f"{asset_id}: made from {origin}")
    output.show(
        f"made from: {counts['original']} originals, {counts['copy']} published copies, "
        f"{counts['none']} nothing that can be read now"
    )


def _queue(
    services: "Services", wanted: "Move", rate: float, limit: int | None
) -> Counter[str | None]:
    """Queue the videos at the rate; return their numbers by reason, None for queued ones."""
    from cli.operator_session import current_operator
    from pipeline.domain.audit_types import AuditType
    from pipeline.operations.move import MOST_UNDER_WAY, count_under_way, move_next
    from pipeline.runtime.database import session_of

    operator, counts, after = current_operator(), Counter[str | None](), None
    operator.audit_first(AuditType.MOVE, **asdict(wanted), rate=rate, limit=limit)
    while limit is None or counts[None] < limit:
        with session_of(services.engine) as session:
            is_full = count_under_way(session, wanted.target) >= MOST_UNDER_WAY
        if is_full:
            time.sleep(LOOK_SEC)
            continue
        with session_of(services.engine) as session:
            step = move_next(services, session, wanted, after=after, actor=operator.actor)
        if step.asset_id is None:
            break
        after = step.asset_id
        counts[step.reason] += 1
        if step.reason is None:
            time.sleep(60 / rate)
    return counts


def _show_result(output: CommandOutput, wanted: "Move", counts: Counter[str | None]) -> None:
    left: dict[str, Any] = {str(reason): n for reason, n in counts.items() if reason}
    output.data({"kind": "result", **asdict(wanted), "queued": counts[None], "left": left})
    output.show(f"{counts[None]} queued")
    for reason, count in left.items():
        output.show(f"{count} stay at {wanted.source}: {reason}")
