"""Checks of assets and their outputs: none stuck, completed ones play."""

from collections.abc import Iterator

from pipeline.domain.states import LIVE, Status
from tests.laws.books import AssetRow, Books
from tests.laws.finding import Finding


def completed_is_playable(books: Books) -> Finding:
    """Require one output of a completed asset, of a job with good outputs, and no other shown."""
    finding = Finding()
    good = {job.id for job in books.jobs if job.playable}
    for asset in books.assets:
        shown = [
            output.id
            for output in books.outputs
            if output.asset_id == asset.id and output.retired_at is None
        ]
        published = [asset.published_output_id] if asset.published_output_id else []
        finding.require(
            shown == published, asset.id, f"{published} is published, not retired are {shown}"
        )
        if asset.status == Status.COMPLETED:
            output = books.output_of.get(asset.published_output_id or "")
            finding.require(output is not None, asset.id, "completed, and nothing is published")
            passed = output is None or output.attempt_id in good
            finding.require(passed, asset.id, "what is published should not have passed the gate")
    return finding


def published_stays(books: Books) -> Finding:
    """Require that the files of a published output stay and its job is not given up."""
    finding = Finding()
    for asset in _kept(books):
        output = books.output_of.get(asset.published_output_id or "")
        if output is None:
            continue
        attempt = books.attempt_of[output.attempt_id]
        gone = output.removed_at or attempt.purged_at or attempt.purge_at
        finding.require(not gone, asset.id, "the files of its published output are gone, or going")
        what = "the job of its published output is about to be given up"
        finding.require(not attempt.is_owed_release, asset.id, what)
    return finding


def live_has_deadline(books: Books) -> Finding:
    """Require a deadline of each live asset, and a lease or a next poll in ``processing``."""
    finding = Finding()
    for asset in _kept(books):
        bounded = asset.status not in LIVE or asset.deadline_at is not None
        finding.require(bounded, asset.id, f"{asset.status} without a deadline")
        watched = asset.lease_expires_at or asset.next_poll_at
        looked_at = asset.status != Status.PROCESSING or watched is not None
        finding.require(looked_at, asset.id, "processing, and neither leased nor polled")
    return finding


def budgets_hold(books: Books) -> Finding:
    """Require at most ``max_attempts`` failures."""
    finding = Finding()
    for asset in books.assets:
        what = f"{asset.failures} failures of {asset.max_attempts}"
        finding.require(asset.failures <= asset.max_attempts, asset.id, what)
    return finding


def all_have_ended(books: Books) -> Finding:
    """Require completed, failed or deleted, also of assets whose create was never answered."""
    finding = Finding()
    for asset in books.assets:
        ended = asset.deleted_at is not None or asset.status not in LIVE
        finding.require(ended, asset.id, f"still {asset.status}")
    return finding


def _kept(books: Books) -> Iterator[AssetRow]:
    return (asset for asset in books.assets if asset.deleted_at is None)
