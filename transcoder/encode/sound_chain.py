"""Filter chain of an encode's sound: any layout of channels becomes stereo.

    track → pan, where the resampler cannot map → aresample → limiter → loudness → apad → split

ffmpeg's resampler knows the layouts that have a name. It refuses ambisonic ones and channels
without a label, and it makes mono 3 dB quieter; `pan` maps those before it.
"""

import re
from collections.abc import Iterable, Sequence

from pipeline.media.probe import SourceInfo

_LABELLED = re.compile(r"\d+ channels \(([A-Z0-9+]{1,400})\)")
_MOST_GUESSED_CHANNELS = 8
"""Up to 7.1, ffmpeg gives channels without a label the usual layout of their number."""
_CENTRE = 0.707
"""Share of a centre or surround channel in each side (ITU-R BS.775)."""
_PAIRED = 0.5
_CEILING = 0.891
"""Full scale less 1 dB, which the AAC encoder's own overshoot needs."""
_LOUDNESS_PEAK_DBTP, _LOUDNESS_RANGE_LU = -1.5, 11
_STEREO = 2


def sound_chain(info: SourceInfo, count: int, loudness_lufs: float | None = None) -> str:
    """Build the chain from the chosen sound track to the pads `[a0]`, `[a1]` and so on.

    Args:
        info: Result of the source's probe; it has sound.
        count: Number of pads.
        loudness_lufs: Loudness to normalise to (EBU R128); None leaves it.
    """
    pads = "".join(f"[a{index}]" for index in range(count))
    steps = [
        *_mapped(info),
        # Adds silence before a late start and in gaps, so that the sound keeps its time and both
        # tracks of each rendition begin together.
        "aresample=48000:async=1:first_pts=0",
        "aformat=sample_fmts=fltp:channel_layouts=stereo",
        *_limited(info),
        *_normalised(loudness_lufs),
    ]
    if info.duration_sec > 0:
        # If the sound ends early, players wait for more of it; apad adds silence.
        steps.append(f"apad=whole_dur={info.duration_sec:.3f}")
    steps.append(f"asplit={count}")
    return f"[0:a:{info.audio_index}]" + ",".join(steps) + pads


def _limited(info: SourceInfo) -> list[str]:
    """Hold the sum of several channels below full scale, where it would be clipped."""
    if (info.audio_channels or 0) <= _STEREO:
        return []
    return [f"alimiter=limit={_CEILING}:level=disabled:latency=enabled"]


def _normalised(loudness_lufs: float | None) -> list[str]:
    if loudness_lufs is None:
        return []
    target = f"loudnorm=I={loudness_lufs:g}:TP={_LOUDNESS_PEAK_DBTP}:LRA={_LOUDNESS_RANGE_LU}"
    return [target, "aresample=48000"]  # it works at 192 kHz


def _mapped(info: SourceInfo) -> list[str]:
    """Map the channels that the resampler cannot map, or would map at another level."""
    channels, layout = info.audio_channels or 0, info.audio_layout or ""
    if channels == 1:
        return _pan(["c0"], ["c0"])
    if layout.startswith("ambisonic"):
        return _pan(*_ambisonic_sides(channels))
    if labelled := _LABELLED.fullmatch(layout):
        return _pan(*_labelled_sides(labelled[1].split("+")))
    if not layout and channels > _MOST_GUESSED_CHANNELS:
        return _pan(_pairs(range(0, channels, 2)), _pairs(range(1, channels, 2)))
    return []


def _pan(left: Iterable[str], right: Iterable[str]) -> list[str]:
    return [f"pan=stereo|c0={'+'.join(left)}|c1={'+'.join(right)}"]


def _ambisonic_sides(channels: int) -> tuple[list[str], list[str]]:
    """Return two cardioids that look left and right: half of W and of Y (ambiX: ACN, SN3D).

    Two channels more than a square are stereo beside the field, which is not turned.
    """
    field = int(channels**0.5) ** 2
    beside = channels - field == _STEREO
    left, right = ["0.5*c0", "0.5*c1"], ["0.5*c0", "-0.5*c1"]
    if channels < _STEREO + 1:
        return ["c0"], ["c0"]
    if beside:
        return [*left, f"c{field}"], [*right, f"c{field + 1}"]
    return left, right


def _labelled_sides(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Share channels out by their labels: FL and BL to the left, FR and BR to the right."""
    sides: tuple[list[str], list[str]] = ([], [])
    for index, name in enumerate(names):
        for side, letter in zip(sides, "LR", strict=True):
            if share := _share(name, letter):
                side.append(f"{share}*c{index}")
    if not (sides[0] and sides[1]):  # such as a left channel alone, or the subwoofer alone
        every = [f"c{index}" for index in range(len(names))]
        return every, every
    return sides


def _share(name: str, letter: str) -> float:
    if name.startswith("LFE"):
        return 0  # players leave it out of stereo too
    if name in ("FL", "FR", "DL", "DR"):
        return float(name.endswith(letter))
    sided = "L" if name.endswith(("L", "LC")) else "R" if name.endswith(("R", "RC")) else None
    return _CENTRE if sided in (None, letter) else 0


def _pairs(indexes: Iterable[int]) -> list[str]:
    """Return one side of channels that come in pairs, the first of them in full."""
    return [f"c{index}" if index < _STEREO else f"{_PAIRED}*c{index}" for index in indexes]
