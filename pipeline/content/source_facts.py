"""Facts of a source that the choice of an account and a provider's request need."""

from fractions import Fraction

from pipeline.domain.values import SourceFacts
from pipeline.media.source_info import Measured, SourceInfo
from pipeline.records.models import Asset


def facts_of(asset: Asset) -> SourceFacts | None:
    """Return the measurements of an asset's source; None before the first one."""
    if asset.source_info is None:
        return None
    return _facts(SourceInfo.from_json(asset.source_info), asset.source_size_bytes)


def measured_facts(measured: Measured) -> SourceFacts:
    """Return the measurements as facts for a provider."""
    return _facts(measured.info, measured.size_bytes)


def _facts(info: SourceInfo, size_bytes: int | None) -> SourceFacts:
    """Return the facts that a choice and a provider's request need."""
    return SourceFacts(
        duration_sec=info.duration_sec,
        width=info.width,
        height=info.height,
        container=info.container,
        size_bytes=size_bytes,
        frame_rate=float(Fraction(info.frame_rate)) if info.frame_rate else None,
    )
