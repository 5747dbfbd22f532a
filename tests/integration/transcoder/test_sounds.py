"""Sounds of every layout through real encodes, measured in the decoded fallback."""

import math
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.media.probe import probe
from pipeline.media.tools import Tools
from transcoder.encode.encode_source import Encoded, EncodeOptions, encode_source

TONE = "sin(2*PI*440*t)"
HALF_DB = 6.02
LEVEL_DB = -9.03
"""Level of a tone of amplitude 0.5."""
NEAR_DB = 0.6
"""AAC keeps the level of a tone within this."""
PCM = ("-c:a", "pcm_s16le")
OPUS = ("-c:a", "libopus", "-mapping_family", "255", "-b:a", "256k")


@dataclass(frozen=True)
class Heard:
    """The sound of an encode's fallback.

    Attributes:
        levels_db: Root mean square of each channel, relative to full scale.
        peak_db: The highest sample.
        losses: Codes of the warnings, with their details.
    """

    levels_db: tuple[float, ...]
    peak_db: float
    seconds: float
    losses: dict[str, str]


Hear = Callable[..., Heard]


@pytest.fixture
def hear(tools: Tools, tmp_path: Path) -> Hear:
    """Encode a file and measure its sound."""

    def encode(source: Path, **options: Any) -> Heard:
        work = tmp_path / "work"
        work.mkdir()
        encoded = encode_source(
            source,
            probe(source, tools),
            work,
            EncodeOptions(preset="ultrafast", **options),
            tools,
            on_progress=lambda *_: None,
            cancelled=lambda: False,
        )
        return heard(encoded, tools)

    return encode


def heard(encoded: Encoded, tools: Tools) -> Heard:
    video = encoded.outputs / "fallback/video.mp4"
    # Without its ends, where a tone that begins at once has other frequencies too.
    steps = "atrim=start=0.2:end=0.8,astats"
    told = _told(tools.ffmpeg, "-i", video, "-vn", "-af", steps, "-f", "null", "-")
    channels = told.partition("Overall")[0]
    levels = re.findall(r"RMS level dB: (\S+)", channels)
    peaks = re.findall(r"Peak level dB: (\S+)", channels)
    length = _told(
        tools.ffprobe, "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", video
    )
    losses = {loss.code.value: loss.detail for loss in encoded.losses}
    peak = max(map(float, peaks), default=-math.inf)
    return Heard(tuple(map(float, levels)), peak, float(length), losses)


def _told(program: str, *arguments: str | Path) -> str:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


Film = Callable[..., Path]


@pytest.fixture
def film(tools: Tools, tmp_path: Path) -> Film:
    """Make a small film whose sound has one expression for each channel."""

    def make(
        name: str, sounds: Sequence[str], *options: str, layout: str = "", seconds: float = 1
    ) -> Path:
        """Film, with channels labelled as a layout of ffmpeg; without labels if there is none."""
        path = tmp_path / name
        named = layout or f"{len(sounds)}C"
        picture = f"testsrc2=size=320x240:rate=10:duration={seconds}"
        sound = f"aevalsrc={'|'.join(sounds)}:s=48000:d={seconds}"
        if layout:
            sound += f":c={layout}"
        run = [
            tools.ffmpeg,
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            picture,
            "-f",
            "lavfi",
            "-i",
            sound,
        ]
        unlabelled = () if layout else ("-channel_layout", named)
        encoder = "libvpx" if name.endswith("webm") else "libx264"
        run += [*unlabelled, "-map", "0:v", "-map", "1:a", "-c:v", encoder, "-pix_fmt", "yuv420p"]
        subprocess.run([*run, *(options or PCM), str(path)], check=True)
        return path

    return make


def tones(*amplitudes: float) -> list[str]:
    return [f"{amplitude}*{TONE}" for amplitude in amplitudes]


def turned_into_ambisonic(webm: Path) -> Path:
    """Name the channels an ambisonic field: RFC 8486's mapping family 2 in place of 255."""
    content = bytearray(webm.read_bytes())
    family_at = content.index(b"OpusHead") + 18
    assert content[family_at] == 255
    content[family_at] = 2
    webm.write_bytes(content)
    return webm


def test_mono_is_as_loud_as_it_was(hear: Hear, film: Film) -> None:
    sound = hear(film("mono.mov", tones(0.5), layout="mono"))

    assert sound.levels_db == pytest.approx((LEVEL_DB, LEVEL_DB), abs=NEAR_DB)
    assert sound.losses == {}


def test_stereo_stays_as_it_is(hear: Hear, film: Film) -> None:
    sound = hear(film("stereo.mov", tones(0.5, 0.25), layout="stereo"))

    assert sound.levels_db == pytest.approx((LEVEL_DB, LEVEL_DB - HALF_DB), abs=NEAR_DB)
    assert sound.losses == {}


def test_a_field_of_sound_from_the_left_is_heard_on_the_left(hear: Hear, film: Film) -> None:
    # A source on the left has as much in Y, the second channel, as in W, the first.
    made = turned_into_ambisonic(film("field.webm", tones(0.5, 0.5, 0, 0), *OPUS))

    sound = hear(made)

    left, right = sound.levels_db
    assert left == pytest.approx(LEVEL_DB, abs=NEAR_DB)
    assert right < left - 20
    assert sound.losses == {"sound_downmixed": "4 channels (ambisonic 1) to 2"}


@pytest.mark.parametrize("channels", [9, 16])
def test_a_finer_field_is_heard_as_well(hear: Hear, film: Film, channels: int) -> None:
    amplitudes = [0.5, -0.5, *[0.0] * (channels - 2)]
    sound = hear(turned_into_ambisonic(film("field.webm", tones(*amplitudes), *OPUS)))

    left, right = sound.levels_db
    assert right == pytest.approx(LEVEL_DB, abs=NEAR_DB)
    assert left < right - 20


@pytest.mark.parametrize("layout", ["2.1", "3.1", "hexadecagonal"])
def test_a_layout_with_a_name_becomes_stereo(hear: Hear, film: Film, layout: str) -> None:
    channels = {"2.1": 3, "3.1": 4, "hexadecagonal": 16}[layout]
    sound = hear(film("named.mkv", tones(*[0.1] * channels), *PCM, layout=layout))

    assert len(sound.levels_db) == 2
    assert min(sound.levels_db) > -24
    assert list(sound.losses) == ["sound_downmixed"]


@pytest.mark.parametrize("channels", [7, 9, 16])
def test_channels_without_labels_are_all_heard(hear: Hear, film: Film, channels: int) -> None:
    sound = hear(film("unlabelled.mkv", tones(*[0.1] * channels)))

    assert len(sound.levels_db) == 2
    assert min(sound.levels_db) > -24
    assert list(sound.losses) == ["sound_downmixed"]


@pytest.mark.parametrize("label", ["FL", "LFE"])
def test_one_channel_is_heard_on_both_sides_whatever_its_label(
    hear: Hear, film: Film, label: str
) -> None:
    sound = hear(film("one.mov", tones(0.5), layout=label))

    assert sound.levels_db == pytest.approx((LEVEL_DB, LEVEL_DB), abs=NEAR_DB)


def test_labels_in_an_unusual_mix_go_to_their_sides(hear: Hear, film: Film) -> None:
    sound = hear(film("odd.mov", tones(0.5, 0, 0.25), layout="FL+LFE+FR"))

    assert sound.levels_db == pytest.approx((LEVEL_DB, LEVEL_DB - HALF_DB), abs=NEAR_DB)


def test_loud_surround_is_held_below_full_scale(hear: Hear, film: Film) -> None:
    sound = hear(film("loud.mov", tones(*[0.95] * 6), layout="5.1"))

    assert sound.peak_db < 0.0
    assert min(sound.levels_db) > -6.0


def test_loudness_is_normalised_only_if_it_is_asked_for(
    hear: Hear, film: Film, tools: Tools, tmp_path: Path
) -> None:
    quiet = film("quiet.mov", tones(0.02, 0.02), layout="stereo", seconds=3)

    sound = hear(quiet, loudness_lufs=-16)

    video = tmp_path / "work/outputs/fallback/video.mp4"
    meter = _told(tools.ffmpeg, "-i", video, "-vn", "-af", "ebur128", "-f", "null", "-")
    [measured] = re.findall(r"Integrated loudness:\s+I:\s+(-?[\d.]+) LUFS", meter)
    assert float(measured) == pytest.approx(-16, abs=1.5)
    assert sound.peak_db < -1


def test_the_marked_track_is_heard_and_the_others_are_named(
    film: Film, hear: Hear, tools: Tools, tmp_path: Path
) -> None:
    silent = film("first.mkv", ["0", "0"], layout="stereo")
    loud = film("second.mkv", tones(0.5, 0.5), layout="stereo")
    both = tmp_path / "both.mkv"
    command = [tools.ffmpeg, "-v", "error", "-i", str(silent), "-i", str(loud), "-c", "copy"]
    command += ["-map", "0:v", "-map", "0:a", "-map", "1:a"]
    command += ["-disposition:a:0", "0", "-disposition:a:1", "default", str(both)]
    subprocess.run(command, check=True)

    sound = hear(both)

    assert min(sound.levels_db) == pytest.approx(LEVEL_DB, abs=NEAR_DB)
    assert sound.losses == {"sound_tracks_dropped": "1 of 2"}


def without_a_decoder(mp4: Path) -> Path:
    """Name the AAC track AC-4, which ffmpeg knows and cannot decode."""
    content = mp4.read_bytes()
    assert content.count(b"mp4a") == content.count(b"esds") == 1
    mp4.write_bytes(content.replace(b"mp4a", b"ac-4").replace(b"esds", b"free"))
    return mp4


def test_sound_that_no_decoder_reads_is_left_out_and_the_picture_stays(
    hear: Hear, film: Film
) -> None:
    sound = hear(without_a_decoder(film("ac4.mp4", tones(0.5), "-c:a", "aac", layout="mono")))

    assert sound.levels_db == ()
    assert list(sound.losses) == ["sound_left_out"]
    assert sound.losses["sound_left_out"].startswith("ac4")
    assert sound.seconds == pytest.approx(1, abs=0.2)


def test_a_track_that_a_decoder_reads_is_heard_before_one_that_none_does(
    hear: Hear, film: Film, tools: Tools, tmp_path: Path
) -> None:
    first = film("first.mp4", tones(0.5), "-c:a", "aac", layout="mono")
    second = film("flac.mp4", tones(0.25), "-c:a", "flac", "-strict", "-2", layout="mono")
    both = tmp_path / "both.mp4"
    command = [tools.ffmpeg, "-v", "error", "-i", str(first), "-i", str(second), "-c", "copy"]
    command += ["-map", "0:v", "-map", "0:a", "-map", "1:a", "-strict", "-2", str(both)]
    subprocess.run(command, check=True)

    sound = hear(without_a_decoder(both))

    assert sound.levels_db == pytest.approx([LEVEL_DB - HALF_DB] * 2, abs=NEAR_DB)
    assert sound.losses == {"sound_tracks_dropped": "1 of 2"}


def test_sound_whose_data_is_broken_is_left_out_and_the_picture_stays(
    hear: Hear, film: Film, tools: Tools
) -> None:
    broken = film("broken.mp4", tones(0.5), "-c:a", "aac", layout="mono")
    content = bytearray(broken.read_bytes())
    places = "packet=pos,size"
    listed = _told(
        tools.ffprobe,
        "-v",
        "error",
        "-select_streams",
        "a",
        "-show_entries",
        places,
        "-of",
        "csv=p=0",
        broken,
    )
    for line in listed.split():
        size, at = map(int, line.split(",")[:2])
        content[at : at + size] = b"\xff" * size
    broken.write_bytes(content)

    sound = hear(broken)

    assert set(sound.losses) <= {"sound_left_out", "sound_cut"}
    assert sound.losses
    assert sound.seconds == pytest.approx(1, abs=0.2)


def test_a_still_picture_lasts_as_long_as_its_sound(
    hear: Hear, tools: Tools, tmp_path: Path
) -> None:
    still = tmp_path / "still.mp4"
    picture = "testsrc2=size=320x240:rate=25:duration=0.04"
    command = [tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", picture]
    command += ["-f", "lavfi", "-i", f"aevalsrc=0.5*{TONE}:c=mono:d=3"]
    command += ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", str(still)]
    subprocess.run(command, check=True)

    sound = hear(still)

    assert sound.seconds == pytest.approx(3, abs=0.2)
    assert sound.levels_db == pytest.approx((LEVEL_DB, LEVEL_DB), abs=NEAR_DB)
