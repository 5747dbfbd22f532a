"""What the database says, read in one piece, to be held against the provider's own books."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from pipeline.records.models import Asset, Attempt, Delivery, Event, Output
from tests.scripted_provider import ScriptedProvider

ALWAYS = datetime.min.replace(tzinfo=UTC)
GIVEN_UP = frozenset({"failed", "cancelled"})


@dataclass(frozen=True)
class Books:
    """Everything that is written, at one instant."""

    assets: dict[UUID, Asset]
    attempts: dict[UUID, Attempt]
    outputs: dict[UUID, Output]
    chronicles: dict[UUID, list[Event]]
    deliveries: list[Delivery]

    def attempts_of(self, asset: Asset) -> list[Attempt]:
        """In the order of their numbers."""
        own = [attempt for attempt in self.attempts.values() if attempt.asset_id == asset.id]
        return sorted(own, key=lambda attempt: attempt.number)

    def published(self, asset: Asset) -> Output | None:
        """What its viewers are shown."""
        if asset.published_output_id is None or asset.deleted_at is not None:
            return None
        return self.outputs[asset.published_output_id]


def read_books(engine: Engine, *, since: datetime = ALWAYS) -> Books:
    """Read every table as of one instant.

    Args:
        since: Leave out assets, and all that is theirs, from before this instant.
    """
    with Session(engine, expire_on_commit=False) as session, session.begin():
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        assets = session.scalars(select(Asset).where(Asset.created_at >= since)).all()
        attempts = session.scalars(select(Attempt).where(Attempt.created_at >= since))
        outputs = session.scalars(select(Output).where(Output.verified_at >= since))
        events = select(Event).where(Event.created_at >= since).order_by(Event.seq)
        chronicles: dict[UUID, list[Event]] = defaultdict(list)
        for event in session.scalars(events):
            chronicles[event.asset_id].append(event)
        return Books(
            assets={asset.id: asset for asset in assets},
            attempts={attempt.id: attempt for attempt in attempts},
            outputs={output.id: output for output in outputs},
            chronicles=chronicles,
            deliveries=list(session.scalars(select(Delivery).where(Delivery.received_at >= since))),
        )


def live_jobs(provider: ScriptedProvider) -> set[UUID]:
    """Jobs that occupy, and cost, their place at the provider."""
    return {
        id_
        for id_, job in provider.jobs.items()
        if job["status"] not in GIVEN_UP and id_ not in provider.cancelled
    }
