"""From rows to documents: which columns are shown, and addresses resolved."""

from api.schemas import AssetOut, CardOut, EventOut
from pipeline.addresses import public_url
from pipeline.failures import failure_of
from pipeline.models import Asset, Event
from pipeline.settings import Settings
from pipeline.views import Card

DERIVED = frozenset(
    {"playable", "retryable", "manifest_url", "fallback_url", "poster_url", "thumbnail_url"}
)
COPIED = tuple(name for name in AssetOut.model_fields if name not in DERIVED)
"""Members of an asset's document that are columns of its row."""


def asset_out(asset: Asset, settings: Settings) -> AssetOut:
    """An asset as its owner sees it."""
    return AssetOut(
        **{name: getattr(asset, name) for name in COPIED},
        playable=asset.published_output_id is not None,
        retryable=failure_of(asset.error_code).retryable if asset.error_code else None,
        **_addresses(asset, settings),
    )


def card_out(card: Card, settings: Settings) -> CardOut:
    """An asset as everybody sees it."""
    return CardOut(
        asset_id=card.id,
        post_id=card.post_id,
        status=card.status,
        playable=card.playable,
        source="processed" if card.playable else "none",
        progress=card.progress,
        duration_sec=card.duration_sec,
        width=card.width,
        height=card.height,
        updated_at=card.updated_at,
        **_addresses(card, settings),
    )


def event_out(event: Event) -> EventOut:
    """One line of the chronicle."""
    return EventOut.model_validate(event)


def _addresses(row: Asset | Card, settings: Settings) -> dict[str, str | None]:
    names = ("manifest_url", "fallback_url", "poster_url", "thumbnail_url")
    return {name: public_url(settings, getattr(row, name)) for name in names}
