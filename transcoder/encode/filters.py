"""Filter graph of an encode: one decoded source in, one labelled pad per rendition out.

    decoder (autorotates) → bwdif → fps → scale to the top rung, 8-bit bt709 → tpad
               → split → top rung
                    └→ scale → split → next rung …

Each rung is scaled from the rung above it, not from the source. The result looks the same and costs
less, since the first step removes most of the pixels.

A picture that may change its size in mid-stream is fitted first, in a graph of its own:

    decoder → bwdif → scale into the top rung, 8-bit bt709 → pad │ fps → tpad → split …

ffmpeg begins a graph anew for every change. The steps right of the line count frames and repeat
them, so that they would lose count; the sound would begin again too.
"""

from collections.abc import Sequence
from fractions import Fraction

from pipeline.media.probe import SourceInfo
from transcoder.encode.ladder import Rung
from transcoder.encode.sound_chain import sound_chain

HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})
"""PQ and HLG, by ffprobe's names."""

WIDE_PRIMARIES = frozenset({"bt2020", "smpte431", "smpte432"})
_MATRICES = {
    "bt709": "bt709",
    "fcc": "fcc",
    "bt470bg": "bt470bg",
    "smpte170m": "smpte170m",
    "smpte240m": "smpte240m",
    "bt2020nc": "bt2020",
    "bt2020c": "bt2020",
}
_HD_HEIGHT = 720


FITTED = "dec:0"
"""Label of the fitted picture: the frames of the first loopback decoder."""


def filter_graph(
    info: SourceInfo,
    rungs: Sequence[Rung],
    rate: Fraction,
    held_sec: float = 0,
    *,
    fitted: bool = False,
    loudness_lufs: float | None = None,
) -> str:
    """Build the `-filter_complex` of an encode.

    Args:
        info: Result of the source's probe.
        rungs: The renditions, largest first.
        rate: Their constant frame rate.
        held_sec: Seconds to repeat the last frame, for sound that goes on.
        fitted: True for a picture that `fit_graph` has brought to the size of the top rung.
        loudness_lufs: Loudness to normalise the sound to; None leaves it.

    Returns:
        A graph whose outputs are `[v0]`, `[v1]`, … and, for a source with sound, `[a0]`, `[a1]`, …
    """
    source = _fitted_chain(rate) if fitted else _source_chain(info, rungs[0], rate)
    chains = [",".join([source, *_hold(held_sec, rate)]) + _tap(0, len(rungs))]
    for index, rung in enumerate(rungs[1:], start=1):
        # scale changes the pixel shape to keep the exact proportions; setsar makes it square again.
        scale = f"[w{index}]scale={rung.width}:{rung.height},setsar=1"
        chains.append(scale + _tap(index, len(rungs)))
    if info.audio_codec is not None:
        chains.append(sound_chain(info, len(rungs), loudness_lufs))
    return ";".join(chains)


def _tap(index: int, count: int) -> str:
    """End a rung's chain at its pad, with a copy for the rung below unless it is the last."""
    if index + 1 == count:
        return f"[v{index}]"
    return f",split=2[v{index}][w{index + 1}]"


def _source_chain(info: SourceInfo, top: Rung, rate: Fraction) -> str:
    steps = [*_deinterlace(info), _even(rate), *_to_sdr_bt709(info, _exactly(top)), *_TAGS]
    # V, not v: cover art is a video stream too, may come first, and V excludes it.
    return "[0:V:0]" + ",".join(steps)


def _fitted_chain(rate: Fraction) -> str:
    return f"[{FITTED}]" + ",".join([_even(rate), *_TAGS])


def fit_graph(
    info: SourceInfo, top: Rung, pixel_shapes: Sequence[tuple[float, Fraction]] = ()
) -> str:
    """Build the `-vf` that fits pictures of any size into the top rung, with bars.

    Args:
        info: Result of the source's probe.
        top: The largest rendition.
        pixel_shapes: Begin and sample aspect ratio of each stretch, if the pixels change theirs.
    """
    # ffmpeg makes this graph anew for another size, but not for another shape of the pixels.
    size = _within(top, _shape(info, pixel_shapes))
    bars = f"pad={top.width}:{top.height}:-1:-1:eval=frame"
    return ",".join([*_deinterlace(info), *_to_sdr_bt709(info, size), bars, *_TAGS])


_TAGS = (
    "setsar=1",
    "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709",
)


def _deinterlace(info: SourceInfo) -> list[str]:
    return ["bwdif=mode=send_frame:deint=all"] if info.interlaced else []


def _even(rate: Fraction) -> str:
    # start_time=0 repeats the first frame of a late picture from zero, and does not move it.
    return f"fps=fps={rate}:start_time=0"


def _exactly(rung: Rung) -> str:
    return f"scale={rung.width}:{rung.height}"


def _shape(info: SourceInfo, pixel_shapes: Sequence[tuple[float, Fraction]]) -> str:
    """Write the aspect ratio of a picture as an expression; that of its pixels changes by time."""
    if not pixel_shapes:
        return "dar"
    turned = info.rotation in (90, 270)
    ratios = [f"{1 / ratio if turned else ratio}" for _, ratio in pixel_shapes]
    expression = f"({ratios[-1]})"
    for ratio, (until_sec, _) in zip(ratios[-2::-1], pixel_shapes[:0:-1], strict=True):
        expression = f"if(lt(t,{until_sec - _SLACK_SEC:.4f}),{ratio},{expression})"
    return f"(iw/ih*{expression})"


_SLACK_SEC = 0.001  # instants are rounded on their way


def _within(rung: Rung, shape: str) -> str:
    """Scale to the largest even size of the picture's own shape in a rung's frame."""
    width = f"max(2,2*round(min({rung.width},{rung.height}*{shape})/2))"
    height = f"max(2,2*round(min({rung.height},{rung.width}/{shape})/2))"
    return f"scale=w='{width}':h='{height}':eval=frame"


def _hold(held_sec: float, rate: Fraction) -> list[str]:
    """Repeat the last frame a whole number of times; a rest shorter than a frame is dropped.

    The last AAC frame alone may outlast the picture by less than a frame.
    """
    frames = int(held_sec * rate)
    return [f"tpad=stop={frames}:stop_mode=clone"] if frames else []


def _to_sdr_bt709(info: SourceInfo, size: str) -> list[str]:
    """Convert the colours of a picture, together with `size`, the filter that scales it."""
    target = "out_color_matrix=bt709:out_range=tv"
    hdr = info.color_transfer in HDR_TRANSFERS
    if not hdr and info.color_primaries not in WIDE_PRIMARIES:
        return [f"{size}:in_color_matrix={_matrix(info)}:{target}", "format=yuv420p"]
    return [size, _colour_map(target, hdr=hdr), "format=yuv420p"]


def _colour_map(target: str, *, hdr: bool) -> str:
    """Map HDR or a wide gamut to bt709, after the downscale because it is the costly step.

    With the *perceptual* intent, swscale (FFmpeg 8) converts to linear light, tone-maps and
    converts back by one three-dimensional table. Filling the table takes some seconds once.
    docs/adr/0006-hdr-by-one-perceptual-scale.md compares it with the usual three filters.
    """
    intent = "perceptual" if hdr else "relative_colorimetric"
    return f"scale={target}:out_primaries=bt709:out_transfer=bt709:intent={intent}"


def _matrix(info: SourceInfo) -> str:
    """Return the source's YCbCr matrix; like players, assume bt601 below 720 lines, else bt709."""
    named = _MATRICES.get(info.color_space or "")
    if named:
        return named
    return "bt709" if min(info.width, info.height) >= _HD_HEIGHT else "smpte170m"
