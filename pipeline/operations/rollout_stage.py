"""The rollout in the database: its stage, what the stage has shown, and its changes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pipeline.domain.errors import Conflict, NotFound
from pipeline.domain.failures import FAILURES
from pipeline.domain.faults import Fault
from pipeline.domain.rollout import Counts, Drill, Requirement, Requirements, examine, name_of
from pipeline.records.models import Asset, Rollout, RolloutOwner
from pipeline.runtime.metric_families import KeptCount, kept_counts

DRILLED = 20
"""Files of a drill, the newest: enough to notice a broken origin, and over within a minute."""


@dataclass(frozen=True)
class Stage:
    """The present stage.

    Attributes:
        percent: Share of the owners that may register videos.
        listed: Owners that may in any case.
        counts: What has happened in this stage.
        requirements: What the next stage requires.
    """

    percent: int
    since: datetime
    listed: int
    counts: Counts
    requirements: Sequence[Requirement]

    @property
    def unmet(self) -> Sequence[Requirement]:
        """The requirements that the stage does not meet."""
        return [each for each in self.requirements if not each.is_met]

    def document(self) -> dict[str, Any]:
        """Return the stage for programs."""
        return {
            "stage": name_of(self.percent),
            "percent": self.percent,
            "since": self.since.isoformat(timespec="seconds"),
            "listed": self.listed,
            "requirements": [asdict(each) for each in self.requirements],
        }


def read_stage(session: Session, required: Requirements) -> Stage:
    """Read the stage and compare what it has shown with what is required."""
    row, now, listed = _row(session)
    counts = count(session).since(Counts(**row.counted))
    return Stage(
        row.percent, row.since, listed, counts, examine(counts, _drill(row), required, now)
    )


def read_percent(session: Session) -> int:
    """Return the share of the owners that may register videos."""
    return session.scalars(select(Rollout.percent)).one()


def set_percent(session: Session, percent: int, *, expected: int) -> None:
    """Begin another stage; what it shows is counted from now on, and it needs its own drill.

    Raises:
        Conflict: ``rollout_changed``: somebody else has changed the stage meanwhile.
    """
    changed = session.execute(
        update(Rollout)
        .where(Rollout.percent == expected)
        .values(
            percent=percent,
            since=func.now(),
            counted=asdict(count(session)),
            drilled_at=None,
            drilled_files=None,
            drilled_broken=None,
        )
        .returning(Rollout.id)
    ).all()
    if not changed:
        raise Conflict("rollout_changed", "Somebody else has changed the stage meanwhile.")


def add_owner(session: Session, owner_id: str, actor: str) -> bool:
    """Let an owner register videos at every stage; return false if that was so already."""
    row = {"owner_id": owner_id, "added_by": actor}
    added = insert(RolloutOwner).values(row).on_conflict_do_nothing()
    return bool(session.scalars(added.returning(RolloutOwner.owner_id)).all())


def remove_owner(session: Session, owner_id: str) -> None:
    """Take an owner off the list. The videos that the owner has go on.

    Raises:
        NotFound: ``owner_not_listed``.
    """
    removed = delete(RolloutOwner).where(RolloutOwner.owner_id == owner_id)
    if not session.scalars(removed.returning(RolloutOwner.owner_id)).all():
        raise NotFound("owner_not_listed", f"{owner_id} is not on the list.")


def listed_owners(session: Session) -> Sequence[RolloutOwner]:
    """Return the owners on the list, by their ids."""
    return session.scalars(select(RolloutOwner).order_by(RolloutOwner.owner_id)).all()


def posts_to_drill(session: Session) -> Sequence[UUID]:
    """Return the posts whose fallback files a drill fetches: the newest completed ones.

    Index: ``video_assets_completed``.
    """
    newest = (
        select(Asset.post_id)
        .where(
            Asset.completed_at.is_not(None),
            Asset.published_output_id.is_not(None),
            Asset.deleted_at.is_(None),
        )
        .order_by(Asset.completed_at.desc())
        .limit(DRILLED)
    )
    return session.scalars(newest).all()


def record_drill(session: Session, *, files: int, broken: int) -> None:
    """Record the result of a fallback drill."""
    drilled = {"drilled_at": func.now(), "drilled_files": files, "drilled_broken": broken}
    session.execute(update(Rollout).values(drilled))


def count(session: Session) -> Counts:
    """Read the counts since the first start, from the counters that are kept for metrics."""
    kept = kept_counts(session)
    ended = kept.get("khronika_assets_ended", ())
    callbacks = kept.get("khronika_callbacks", ())
    return Counts(
        completed=sum(each.total for each in ended if each.labels[0] == "completed"),
        failed=sum(each.total for each in ended if _is_our_failure(*each.labels)),
        callbacks=sum(each.total for each in callbacks if each.labels[1] == "applied"),
        missed=sum(
            each.total
            for each in kept.get("khronika_events", ())
            if each.labels[0] == "callback_missed"
        ),
        ready=_by_bound(kept.get("khronika_time_to_ready_seconds", ())),
    )


def _is_our_failure(status: str, code: str) -> bool:
    """Tell a failure of the pipeline from one of the file, and from an owner's own decision."""
    if status != "failed" or code == "cancelled":
        return False
    return code not in FAILURES or FAILURES[code].fault is not Fault.SOURCE


def _by_bound(counts: Sequence[KeptCount]) -> Mapping[str, int]:
    return {str(each.le): each.total for each in counts}


def _row(session: Session) -> tuple[Rollout, datetime, int]:
    listed = select(func.count()).select_from(RolloutOwner).scalar_subquery()
    row, now, number = session.execute(select(Rollout, func.now(), listed)).one()
    return row, now, number


def _drill(row: Rollout) -> Drill | None:
    if row.drilled_at is None:
        return None
    return Drill(row.drilled_at, row.drilled_files or 0, row.drilled_broken or 0)
