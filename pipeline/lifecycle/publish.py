"""The publication of outputs: they are visible once the asset's row names them."""

from dataclasses import asdict, replace
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import case, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pipeline.config.task_names import wake_release
from pipeline.content.expected_duration import length_warnings
from pipeline.content.gate import GateVerdict
from pipeline.content.seen_losses import seen_losses
from pipeline.domain.errors import Conflict
from pipeline.domain.events import EventDraft, EventType
from pipeline.domain.output_warnings import one_per_code, warning_rows
from pipeline.domain.values import Outputs
from pipeline.lifecycle.provider_report import Applied, ProviderReport
from pipeline.records import queries, releases, store, transitions
from pipeline.records.models import Asset, Attempt, Output
from pipeline.records.published import output_columns, with_source_facts


def publish(
    session: Session, asset: Asset, report: ProviderReport, verdict: GateVerdict, *, late: bool
) -> Applied:
    """Complete the asset, and owe the releases of its other attempts' jobs.

    Args:
        verdict: The gate's verdict; a storyboard with a fault is left out.
        late: The attempt had been given up; its success counts all the same.
    """
    outputs = _publishable(asset, report, verdict)
    _retire_others(session, asset, report.attempt_id)
    output_id = _keep_output(session, asset, report, outputs, verdict)
    _record_warnings(session, asset, report, outputs)
    type_ = EventType.LATE_SUCCESS if late else EventType.COMPLETED
    event = _event(type_, report, output_id, outputs, verdict)
    store.advance(
        session, asset, transitions.completed(output_id, report.attempt_id, outputs, event)
    )
    store.update_attempt(session, report.attempt_id, purge_at=None)
    releases.withdraw(session, report.attempt_id)
    store.discard(session, Attempt.asset_id == asset.id, Attempt.id != report.attempt_id)
    # If the success came late, a newer attempt may be under way.
    owed = releases.owe_releases(session, asset.id, but=report.attempt_id)
    return Applied(type_, tuple(map(wake_release, owed)))


def publish_playable(
    session: Session,
    asset: Asset,
    report: ProviderReport,
    verdict: GateVerdict,
    *,
    next_poll_sec: float,
) -> Applied:
    """Publish the outputs of an attempt that goes on: nothing of the asset is published yet."""
    outputs = _publishable(asset, report, verdict)
    output_id = _keep_output(session, asset, report, outputs, verdict)
    event = _event(EventType.PLAYABLE, report, output_id, outputs, verdict)
    change = transitions.playable(output_id, outputs, event, next_poll_sec=next_poll_sec)
    store.advance(session, asset, change)
    return Applied(EventType.PLAYABLE)


def _event(
    type_: EventType,
    report: ProviderReport,
    output_id: UUID,
    outputs: Outputs,
    verdict: GateVerdict,
) -> EventDraft:
    return EventDraft(
        type_,
        report.actor,
        _detail(output_id, outputs, verdict),
        provider_job_id=report.status.provider_job_id,
        provider_request_id=report.status.provider_request_id,
        provider_event_id=report.event_id,
    )


def _publishable(asset: Asset, report: ProviderReport, verdict: GateVerdict) -> Outputs:
    assert report.status.outputs is not None
    outputs = with_source_facts(report.status.outputs, asset)
    seen = seen_losses(asset.source_info, verdict.master)
    warnings = (*outputs.warnings, *length_warnings(asset, outputs), *seen)
    outputs = replace(outputs, warnings=one_per_code(warnings))
    return outputs if verdict.storyboard_fault is None else replace(outputs, storyboard_url=None)


def _detail(output_id: UUID, outputs: Outputs, verdict: GateVerdict) -> dict[str, Any]:
    found: dict[str, Any] = {
        "captions": [asdict(caption) for caption in verdict.captions],
        "captions_left_out": verdict.captions_fault,
        "storyboard_left_out": verdict.storyboard_fault,
    }
    named = {name: value for name, value in found.items() if value}
    return {"output_id": str(output_id), "renditions": len(outputs.renditions), **named}


def _record_warnings(
    session: Session, asset: Asset, report: ProviderReport, outputs: Outputs
) -> None:
    if not outputs.warnings:
        return
    store.record(
        session,
        asset.id,
        EventDraft(
            EventType.WARNED,
            report.actor,
            {"warnings": warning_rows(outputs.warnings)},
            provider_job_id=report.status.provider_job_id,
        ),
    )


def _retire_others(session: Session, asset: Asset, attempt_id: UUID) -> None:
    """Retire the outputs that the new ones replace.

    Outputs that the asset had ceased to name were withdrawn by a cancellation. No rollback may
    publish them, also before a worker has removed their files.
    """
    is_named = Output.id == asset.published_output_id
    session.execute(
        update(Output)
        .where(Output.asset_id == asset.id, Output.published_at.is_not(None))
        .where(Output.retired_at.is_(None), Output.attempt_id != attempt_id)
        .values(
            retired_at=func.now(),
            removed_at=case(
                (is_named, Output.removed_at), else_=func.coalesce(Output.removed_at, func.now())
            ),
        )
        .execution_options(synchronize_session=False)
    )


def _keep_output(
    session: Session,
    asset: Asset,
    report: ProviderReport,
    outputs: Outputs,
    verdict: GateVerdict,
) -> UUID:
    """Write the attempt's row of outputs; a row of the playable ones gets the rest."""
    columns = output_columns(outputs, verdict.captions)
    kept = session.scalars(
        insert(Output)
        .values(
            id=uuid4(),
            asset_id=asset.id,
            generation=asset.generation,
            attempt_id=report.attempt_id,
            **columns,
            published_at=func.now(),
        )
        .on_conflict_do_update(
            index_elements=[Output.attempt_id],
            set_={**columns, "verified_at": func.now(), "retired_at": None},
        )
        .returning(Output.id)
    )
    return kept.one()


def rollback_asset(session: Session, post_id: UUID, *, actor: str) -> Asset:
    """Publish the outputs again that the present ones replaced.

    One transaction: viewers see the one or the other. A second rollback undoes the first, until the
    purge removes the retired outputs.

    Raises:
        NotFound: ``post_not_found``.
        Conflict: ``nothing_to_roll_back``.
        StaleTransition: the asset moved on since it was read.
    """
    asset = queries.asset_of_post(session, post_id)
    previous = session.scalars(
        select(Output)
        .where(
            Output.asset_id == asset.id,
            Output.retired_at.is_not(None),
            Output.removed_at.is_(None),
        )
        .order_by(Output.retired_at.desc())
        .limit(1)
        .with_for_update()
    ).one_or_none()
    if asset.published_output_id is None or previous is None:
        raise Conflict("nothing_to_roll_back", "No earlier outputs are kept of this video.")
    _retire_output(session, asset.published_output_id)
    _publish_again(session, previous)
    return store.advance(session, asset, transitions.rolled_back(asset, previous, actor))


def _retire_output(session: Session, output_id: UUID) -> None:
    session.execute(
        update(Output)
        .where(Output.id == output_id)
        .values(retired_at=func.now())
        .execution_options(synchronize_session=False)
    )


def _publish_again(session: Session, output: Output) -> None:
    session.execute(
        update(Output)
        .where(Output.id == output.id)
        .values(retired_at=None, published_at=func.now())
        .execution_options(synchronize_session=False)
    )
    store.update_attempt(session, output.attempt_id, purge_at=None)
    store.discard(session, Attempt.asset_id == output.asset_id, Attempt.id != output.attempt_id)
