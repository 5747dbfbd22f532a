"""Retry of many failed videos for an operator, a bounded batch at a time."""

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
"""Videos of one transaction; their rows are locked until it ends."""


@dataclass(frozen=True)
class Retries:
    """The result of a batch.

    Attributes:
        retried: Queued again.
        skipped: No longer failed, deleted, or being changed by another writer.
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
    """Retry each of these assets that is still failed, by the use case that retries one.

    Idempotent in effect: an asset that is no longer failed is skipped.

    Args:
        assets: As they were read; at most ``BATCH``.
    """
    retried: list[Asset] = []
    skipped: list[Asset] = []
    wakes: list[Wake] = []
    for asset in assets:
        try:
            # A savepoint: a refused retry does not undo the others.
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
    """Refuse another video of the same post: the one that the operator chose was deleted."""
    if asset.id != asset_id:
        raise NotFound("asset_not_found")
