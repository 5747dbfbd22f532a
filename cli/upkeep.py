"""An operator's upkeep: publish the outputs before again, remove files that nobody publishes.

What they stand on is imported when they run, as in ``cli.operations``.
"""

import os
from contextlib import closing
from typing import Annotated

import typer

from cli import options
from cli.environment import complete
from cli.outcomes import reporting


def rollback(post_id: options.PostId, *, as_json: options.Json = False) -> None:
    """Publish the outputs before the present ones again; once more is forward again.

    Works for a day after a re-encode, until the files are removed. Speaks to the database.
    """
    from cli.operator import operator_session, present_operator  # noqa: PLC0415 - see the top
    from pipeline.usecases.rollback import rollback_asset  # noqa: PLC0415

    with reporting(as_json) as output:
        who = present_operator()
        with operator_session() as session:
            asset = rollback_asset(session, post_id, actor=who.actor)
            who.audit(session, "rollback", post_id=str(post_id), asset_id=str(asset.id))
        published = str(asset.published_output_id)
        output.data({"post_id": str(post_id), "published_output_id": published})
        output.show(f"published again: {published}")


def clean(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing; say what would go.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Remove the files of discarded attempts, deleted videos and unused uploads.

    The worker does it every ten minutes, a day after they were given up; this does it now, one
    batch at a time.
    """
    from pipeline.services import build_services  # noqa: PLC0415 - see the top
    from pipeline.settings import load_settings  # noqa: PLC0415
    from pipeline.usecases.purge import purge  # noqa: PLC0415

    with reporting(as_json) as output:
        os.environ.update(complete(os.environ))
        with closing(build_services(load_settings())) as services:
            purged = purge(services, dry_run=dry_run)
        output.data(
            {
                "dry_run": dry_run,
                "prefixes": list(purged.prefixes),
                "reclaimed_bytes": purged.reclaimed_bytes,
            }
        )
        for prefix in purged.prefixes:
            output.show(prefix)
        verb = "would reclaim" if dry_run else "reclaimed"
        output.show(f"{verb} {purged.reclaimed_bytes:,} bytes in {len(purged.prefixes)} folders")
