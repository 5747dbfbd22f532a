"""Contradictions of a source that its measurement found, which the job's result names too."""

from collections.abc import Iterator

from pipeline.media.probe import SourceInfo
from transcoder.encode.frame_rates import MAX_RATE
from transcoder.encode.output_losses import LossCode, OutputLoss
from transcoder.encode.picture_sizes import PictureSizes
from transcoder.encode.source_ends import SourceEnds, differs

_FASTER = 1.05


def measured_losses(
    declared: SourceInfo, measured: SourceInfo, ends: SourceEnds, sizes: PictureSizes
) -> tuple[OutputLoss, ...]:
    """Name what the packets and frames of a source say against its container.

    Args:
        declared: Result of the probe.
        measured: The same facts, measured.
        ends: Measurements of the packets.
        sizes: Sizes of the picture.
    """
    return tuple(_losses(declared, measured, ends, sizes))


def _losses(
    declared: SourceInfo, measured: SourceInfo, ends: SourceEnds, sizes: PictureSizes
) -> Iterator[OutputLoss]:
    if declared.cropped_width or declared.cropped_height:
        stored = f"{declared.coded_width}x{declared.coded_height}"
        detail = f"{declared.cropped_width}x{declared.cropped_height} pixels of {stored}"
        yield OutputLoss(LossCode.PICTURE_CROPPED, detail)
    if sizes.count > 1:
        detail = f"{sizes.count} sizes in {measured.width}x{measured.height}"
        yield OutputLoss(LossCode.PICTURE_FITTED, detail)
    if ends.jumps:
        yield OutputLoss(LossCode.TIMING_MENDED, f"{ends.jumps} jumps of the clock")
    elif declared.frame_rate != measured.frame_rate:
        detail = f"{declared.frame_rate} declared, {measured.frame_rate} measured"
        yield OutputLoss(LossCode.TIMING_MENDED, detail)
    if ends.overtaken:
        detail = f"{ends.overtaken} of {ends.pictures}, behind a clock that goes backward"
        yield OutputLoss(LossCode.FRAMES_LOST, detail)
    fastest_rate = ends.spacing.fastest_rate
    if measured.variable_frame_rate and fastest_rate and fastest_rate > _FASTER * MAX_RATE:
        detail = f"{fastest_rate:.0f} to {float(MAX_RATE):.0f} frames a second"
        yield OutputLoss(LossCode.FRAME_RATE_LOWERED, detail)
    if differs(declared.duration_sec, measured.duration_sec):
        detail = f"{declared.duration_sec:.1f} s declared, {measured.duration_sec:.1f} s measured"
        yield OutputLoss(LossCode.LENGTH_DIFFERS, detail)
