"""Length that the outputs of a source should have: a measured one, if there is any."""

from pipeline.domain.output_warnings import OutputWarning, WarningCode
from pipeline.domain.values import Outputs
from pipeline.records.models import Asset

ESTIMATED = frozenset({"mpegts", "mpeg", "ogg", "flv"})
"""Containers that store no length. Their first and last clock readings give one, which is wrong if
the clock jumps between; a recorder of FLV may declare any."""
_TOLERANCE_SEC, _TOLERANCE_SHARE = 0.5, 0.02


def expected_duration(asset: Asset, outputs: Outputs) -> float | None:
    """Return the seconds that every rendition should last; None takes the provider's own figure.

    A provider that read all packets of the source knows its length better than we, who have read a
    sample of it. An estimate that the provider's figure contradicts is not held against it.
    """
    if outputs.source_sec is not None:
        return outputs.source_sec
    if asset.source_info is None:
        return None
    declared_sec: float = asset.source_info["duration_sec"]
    if asset.source_info["container"] in ESTIMATED and outputs.duration_sec is not None:
        return outputs.duration_sec
    return declared_sec


def length_warnings(asset: Asset, outputs: Outputs) -> tuple[OutputWarning, ...]:
    """Name outputs of another length than the source has by its container."""
    if asset.source_info is None or outputs.duration_sec is None:
        return ()
    declared_sec: float = asset.source_info["duration_sec"]
    allowed_sec = max(_TOLERANCE_SEC, _TOLERANCE_SHARE * declared_sec)
    if abs(declared_sec - outputs.duration_sec) <= allowed_sec:
        return ()
    detail = f"{declared_sec:.1f} s declared, {outputs.duration_sec:.1f} s processed"
    return (OutputWarning(WarningCode.LENGTH_DIFFERS, detail),)
