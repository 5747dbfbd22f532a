"""Start many failed videos over at an operator's word, a bounded batch at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from pipeline.config.limit_settings import OwnerLimitSettings
from pipeline.config.work_settings import RetrySettings
from pipeline.domain.errors import Conflict, NotFound
from pipeline.lifecycle.owner_actions import retry_asset
from pipeline.records.models import Asset
from pipeline.runtime.wakes import Wake

BATCH = 50
"""Videos of one transaction: their rows are locked until it ends."""


@dataclass(frozen=True)
class Retries:
    """What became of a batch.

    Attributes:
        retried: Queued again.
        skipped: Not failed any more, deleted, or just being changed by somebody else.
    """

    retried: Sequence[Asset]
    skipped: Sequence[Asset]
    wakes: tuple[Wake, ...]


def retry_batch(
    session: Session,
    assets: Sequence[Asset],
    *,
    retry: RetrySettings,
    owner_limits: OwnerLimitSettings,
    actor: str,
) -> Retries:
    """Retry each of these that is still failed, by the use case that retries one.

    Idempotent in effect: who is not failed any more is skipped.

    Args:
        assets: As they were found; at most ``BATCH``.
    """
    retried: list[Asset] = []
    skipped: list[Asset] = []
    wakes: list[Wake] = []
    for asset in assets:
        try:
            # A savepoint: what is refused takes back nothing of the others.
            with session.begin_nested():
                done = retry_asset(
                    session, asset.post_id, retry=retry, owner_limits=owner_limits, actor=actor
                )
                _require_same(asset.id, done.asset)
        except (Conflict, NotFound):
            skipped.append(asset)
        else:
            retried.append(done.asset)
            wakes.extend(done.wakes)
    return Retries(retried, skipped, tuple(wakes))


def _require_same(asset_id: UUID, asset: Asset) -> None:
    """A post whose video was deleted may have another by now, which nobody chose."""
    if asset.id != asset_id:
        raise NotFound("asset_not_found")
