"""Publish what an attempt made: the row that names it is the publication."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, insert, update
from sqlalchemy.orm import Session

from pipeline.config.task_names import wake_release
from pipeline.content.gate import GateReport
from pipeline.domain.states import Status
from pipeline.domain.values import EventDraft, Outputs
from pipeline.lifecycle.provider_report import Applied, News
from pipeline.records import releases, store
from pipeline.records.models import Asset, Attempt, Output


def publish(
    session: Session, asset: Asset, news: News, report: GateReport, *, late: bool
) -> Applied:
    """Complete the asset, and give up what its other attempts have made or may yet make.

    Args:
        report: What the gate passed; a storyboard that it found fault with is left out.
        late: The attempt had been given up; its success counts all the same.
    """
    assert news.status.outputs is not None
    outputs = _publishable(news.status.outputs, report)
    session.execute(
        update(Output)
        .where(Output.asset_id == asset.id, Output.published_at.is_not(None))
        .where(Output.retired_at.is_(None))
        .values(retired_at=func.now())
        .execution_options(synchronize_session=False)
    )
    output_id = _insert_output(session, asset, news, outputs)
    type_ = "late_success" if late else "completed"
    store.advance(
        session,
        asset,
        Status.COMPLETED,
        EventDraft(
            type_,
            news.actor,
            _detail(output_id, outputs, report),
            provider_job_id=news.status.provider_job_id,
            provider_request_id=news.status.provider_request_id,
            provider_event_id=news.event_id,
        ),
        attempt_id=news.attempt_id,
        provider_job_id=news.status.provider_job_id,
        published_output_id=output_id,
        manifest_url=outputs.manifest_url,
        fallback_url=outputs.fallback_url,
        poster_url=outputs.poster_url,
        thumbnail_url=outputs.thumbnail_url,
        storyboard_url=outputs.storyboard_url,
        duration_sec=outputs.duration_sec,
        width=outputs.width,
        height=outputs.height,
        progress=100,
        progress_at=func.now(),
        error_code=None,
        error_message=None,
        hold_reason=None,
        next_attempt_at=None,
        next_poll_at=None,
        deadline_at=None,
        lease_expires_at=None,
        lease_token=Asset.lease_token + 1,
        playable_at=func.coalesce(Asset.playable_at, func.now()),
        completed_at=func.now(),
    )
    store.update_attempt(session, news.attempt_id, purge_at=None)
    releases.forgive(session, news.attempt_id)
    store.discard(session, Attempt.asset_id == asset.id, Attempt.id != news.attempt_id)
    # A newer attempt may be under way where the success came late.
    owed = releases.owe_releases(session, asset.id, but=news.attempt_id)
    return Applied(type_, tuple(map(wake_release, owed)))


def _publishable(outputs: Outputs, report: GateReport) -> Outputs:
    return outputs if report.storyboard_fault is None else replace(outputs, storyboard_url=None)


def _detail(output_id: UUID, outputs: Outputs, report: GateReport) -> dict[str, Any]:
    detail = {"output_id": str(output_id), "renditions": len(outputs.renditions)}
    if report.storyboard_fault is None:
        return detail
    return {**detail, "storyboard_left_out": report.storyboard_fault}


def _insert_output(session: Session, asset: Asset, news: News, outputs: Outputs) -> UUID:
    output_id = uuid4()
    session.execute(
        insert(Output).values(
            id=output_id,
            asset_id=asset.id,
            generation=asset.generation,
            attempt_id=news.attempt_id,
            manifest_url=outputs.manifest_url,
            fallback_url=outputs.fallback_url,
            poster_url=outputs.poster_url,
            thumbnail_url=outputs.thumbnail_url,
            storyboard_url=outputs.storyboard_url,
            renditions=[dict(rendition) for rendition in outputs.renditions],
            duration_sec=outputs.duration_sec,
            width=outputs.width,
            height=outputs.height,
            size_bytes=outputs.size_bytes,
            published_at=func.now(),
        )
    )
    return output_id
