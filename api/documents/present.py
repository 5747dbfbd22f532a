"""The documents of rows: their members are columns, and resolved addresses."""

from datetime import UTC, datetime
from typing import Any, TypedDict
from uuid import UUID

from api.documents.schemas import AssetOut, CardOut, EventOut
from pipeline.config.media_settings import MediaUrlSettings
from pipeline.content.media_tokens import TokenHolder
from pipeline.content.object_urls import object_url, output_url, playback_ends_at
from pipeline.content.original import original_key
from pipeline.domain.failures import failure_of
from pipeline.domain.hold_reasons import sentence_of
from pipeline.domain.output_warnings import warning_documents
from pipeline.domain.processing_step import step_of
from pipeline.domain.values import ADDRESS_FIELDS, Playback
from pipeline.records.models import Asset, Event
from pipeline.records.queries import Card
from pipeline.records.queue_position import PlaceInQueue

DERIVED = frozenset(
    {
        *("playable", "retryable", "step", "hold_message", "urls_expire_at", "warnings"),
        *("queue_position", "queue_wait_sec"),
        *ADDRESS_FIELDS,
    }
)
COPIED = tuple(name for name in AssetOut.model_fields if name not in DERIVED)
"""Members of an asset's document that are columns of its row."""


class QueuePosition(TypedDict):
    """The members of an asset's document about its queue."""

    queue_position: int | None
    queue_wait_sec: float | None


def asset_out(
    asset: Asset,
    urls: MediaUrlSettings,
    *,
    place: PlaceInQueue | None = None,
    key_id: UUID | None = None,
) -> AssetOut:
    """Return an asset's document, with its position in the queue if the caller read it.

    Args:
        key_id: The API key that is given the document; its addresses end with the key.
    """
    submitted = asset.provider_job_id is not None
    return AssetOut(
        **{name: getattr(asset, name) for name in COPIED},
        playable=asset.published_output_id is not None,
        hold_message=sentence_of(asset.hold_reason) if asset.hold_reason else None,
        retryable=failure_of(asset.error_code).retryable if asset.error_code else None,
        step=step_of(asset.status, submitted=submitted, progress=asset.progress),
        warnings=warning_documents(asset.warnings),
        **queue_position_out(place),
        **_addresses(asset, urls, key_id),
    )


def queue_position_out(place: PlaceInQueue | None) -> QueuePosition:
    """Return a position in the queue as members of an asset's document."""
    if place is None:
        return {"queue_position": None, "queue_wait_sec": None}
    wait_sec = None if place.wait_sec is None else round(place.wait_sec, 1)
    return {"queue_position": place.position, "queue_wait_sec": wait_sec}


def card_out(card: Card, urls: MediaUrlSettings, *, key_id: UUID | None = None) -> CardOut:
    """Return the public view of a card, which contains only the columns its viewer may see.

    Args:
        key_id: The API key that is given the card; addresses that are signed end with the key.
    """
    key = original_key(card.original, urls)
    return CardOut(
        asset_id=card.id,
        post_id=card.post_id,
        title=card.title,
        playback=card.playback,
        status=card.status,
        step=step_of(card.status, submitted=card.submitted, progress=card.progress),
        playable=card.playable,
        source="original" if key else "processed" if card.manifest_url else "none",
        progress=card.progress,
        duration_sec=card.duration_sec,
        width=card.width,
        height=card.height,
        updated_at=card.updated_at,
        **(_original(card.id, key, urls, key_id) if key else _addresses(card, urls, key_id)),
    )


def event_out(event: Event, *, hides_operators: bool) -> EventOut:
    """Return the document of an event.

    Args:
        hides_operators: True for an owner, who learns that an operator acted, and not which one.
    """
    document = EventOut.model_validate(event)
    if hides_operators and document.actor.startswith("operator:"):
        return document.model_copy(update={"actor": "operator"})
    return document


def _addresses(row: Asset | Card, urls: MediaUrlSettings, key_id: UUID | None) -> dict[str, Any]:
    """Return the addresses of the published outputs, and the instant they end."""
    published = row.manifest_url is not None
    until = _until(urls) if published and row.playback == Playback.SIGNED else None
    addresses = {
        name: output_url(urls, row.id, name, expires_at=until, key_id=key_id)
        for name in ADDRESS_FIELDS
        if getattr(row, name) is not None
    }
    return {**dict.fromkeys(ADDRESS_FIELDS), **addresses, "urls_expire_at": until}


def _original(
    asset_id: UUID, key: str, urls: MediaUrlSettings, key_id: UUID | None
) -> dict[str, Any]:
    """Return the address of the source in place of outputs, and the instant it ends."""
    until = _until(urls)
    holder = TokenHolder(asset_id, key_id=key_id)
    address = object_url(urls, key, expires_at=until, holder=holder)
    return {**dict.fromkeys(ADDRESS_FIELDS), "fallback_url": address, "urls_expire_at": until}


def _until(urls: MediaUrlSettings) -> datetime:
    return playback_ends_at(datetime.now(UTC), urls.playback_expires_sec)
