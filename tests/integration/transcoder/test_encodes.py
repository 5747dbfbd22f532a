"""Real encodes, checked by ffprobe and by decoded frames."""

import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.media.boxes import is_faststart, walk
from pipeline.media.playlist import parse_master, parse_media
from pipeline.media.source_limits import MediaRefused
from pipeline.media.tools import Tools
from tests import clips
from tests.integration.transcoder.made_encodes import Made, Make, ffmpeg
from transcoder.encode.encode_errors import EncodeFailed
from transcoder.encode.measured_rendition import check_segment_whole

SAMPLE = Path("tests/media/big-buck-bunny-720p-5s.mp4")


KINDS = (*clips.ACCEPTED, clips.long_sound, clips.long_sound_webm, clips.short_sound)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_source_becomes_what_every_browser_plays(
    made: Make, kind: clips.Kind, clip_folder: Path, tools: Tools
) -> None:
    result = made(kind(clip_folder, tools))
    for path in result.everything:
        [video] = result.streams(path, "video")
        assert (video["codec_name"], video["profile"]) == ("h264", "High")
        assert video["pix_fmt"] == "yuv420p"
        assert video.get("field_order", "progressive") == "progressive"
        assert video["sample_aspect_ratio"] == "1:1"
        assert video["width"] % 2 == video["height"] % 2 == 0
        assert "side_data_list" not in video
        colours = ("color_primaries", "color_transfer", "color_space", "color_range")
        assert [video[name] for name in colours] == ["bt709", "bt709", "bt709", "tv"]
        sound = result.streams(path, "audio")
        assert len(sound) == (0 if result.info.audio_codec is None else 1)
        for stream in sound:
            assert (stream["codec_name"], stream["profile"]) == ("aac", "LC")
            assert (stream["sample_rate"], stream["channels"]) == ("48000", 2)
            starts = float(video["start_time"]), float(stream["start_time"])
            assert abs(starts[0] - starts[1]) < 0.05
    frame_sec = 1 / float(result.encoded.renditions[0].frame_rate)
    assert abs(result.encoded.duration_sec - result.info.duration_sec) <= 0.05 + frame_sec


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_master_playlist_is_true(
    made: Make, kind: clips.Kind, clip_folder: Path, tools: Tools
) -> None:
    result = made(kind(clip_folder, tools))
    master = parse_master((result.encoded.outputs / "master.m3u8").read_text())
    assert master.independent_segments
    assert len(master.variants) == len(result.playlists)
    for variant in master.variants:
        path = result.encoded.outputs / variant.uri
        playlist = parse_media(path.read_text())
        [video] = result.streams(path, "video")
        times = [at for at, _ in result.frames(path)]
        assert (variant.width, variant.height) == (video["width"], video["height"])
        rate = float(Fraction(video["avg_frame_rate"]))
        assert variant.frame_rate == pytest.approx(rate, abs=0.001)
        assert len(times) == round(playlist.duration_sec * rate)
        sizes = [(path.parent / segment.uri).stat().st_size for segment in playlist.segments]
        average = 8 * sum(sizes) / playlist.duration_sec
        assert variant.average_bandwidth_bps == pytest.approx(average, rel=0.001)
        assert variant.bandwidth_bps >= average
        assert variant.codecs is not None
        assert variant.codecs.startswith(f"avc1.6400{int(video['level']):02X}")
        assert ("mp4a.40.2" in variant.codecs) == (result.info.audio_codec is not None)


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        (clips.portrait, (360, 640)),
        (clips.rotated, (360, 640)),
        (clips.odd_size, (320, 180)),
        (clips.anamorphic, (768, 576)),
        (clips.very_short, (320, 180)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_source_keeps_its_shape(
    made: Make, kind: clips.Kind, size: tuple[int, int], clip_folder: Path, tools: Tools
) -> None:
    result = made(kind(clip_folder, tools))
    [video] = result.streams(result.playlists[0], "video")
    assert (video["width"], video["height"]) == size


def test_a_rotated_source_is_turned_the_right_way_up(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    # The phone's rotation matrix turns the bright half up and the dark half down.
    sideways = ffmpeg(
        tools,
        clip_folder / "sideways-stored.mp4",
        *("-f", "lavfi", "-i", "color=black:s=640x360:d=1,drawbox=w=320:c=white:t=fill"),
        *("-c:v", "libx264", "-pix_fmt", "yuv420p"),
    )
    phone = ffmpeg(
        tools,
        clip_folder / "sideways.mp4",
        *("-display_rotation", "270", "-i", str(sideways), "-c", "copy"),
    )
    luma = made(phone)
    rows = [luma.luma(luma.fallback)[16 * row : 16 * row + 16] for row in (2, 13)]
    assert min(rows[0]) > 200
    assert max(rows[1]) < 50


def looped(tools: Tools, folder: Path, count: int) -> Path:
    loop = ("-stream_loop", str(count - 1), "-i", str(SAMPLE), "-c", "copy")
    return ffmpeg(tools, folder / f"looped-{count}.mp4", *loop)


def test_segments_begin_with_a_key_frame_at_the_same_instants_everywhere(
    made: Make, clip_folder: Path, tools: Tools, tmp_path: Path
) -> None:
    result = made(looped(tools, clip_folder, 3), max_profile="360p")
    lengths = set()
    for path in result.playlists:
        playlist = parse_media(path.read_text())
        assert playlist.ended
        assert playlist.target_duration_sec == 6
        lengths.add(tuple(segment.duration_sec for segment in playlist.segments))
        keys = [at for at, is_key in result.frames(path) if is_key]
        assert keys == pytest.approx([2.0 * number for number in range(len(keys))])
        for segment in playlist.segments:
            alone = tmp_path / "alone.mp4"
            init = (path.parent / "init.mp4").read_bytes()
            alone.write_bytes(init + (path.parent / segment.uri).read_bytes())
            frames = result.frames(alone)
            assert frames[0][1]
            assert len(frames) == round(segment.duration_sec * 25)
    assert len(lengths) == 1
    assert lengths.pop()[:2] == (6.0, 6.0)


def test_a_segment_that_was_not_written_to_its_end_is_noticed(made: Make, tmp_path: Path) -> None:
    segment = made(SAMPLE).encoded.outputs / "240p/seg_00000.m4s"
    check_segment_whole(segment)
    data = segment.read_bytes()
    media = data.index(b"mdat") - 4
    for length in (0, 6, media // 2, media, media + 8, len(data) - 1):
        cut = tmp_path / "cut.m4s"
        cut.write_bytes(data[:length])
        with pytest.raises(MediaRefused):
            check_segment_whole(cut)


def test_film_rate_segments_keep_to_the_grid(made: Make, clip_folder: Path, tools: Tools) -> None:
    film = ffmpeg(
        tools,
        clip_folder / "film.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=320x240:r=24000/1001:d=14"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
    )
    playlist = parse_media(made(film).playlists[0].read_text())
    assert [round(s.duration_sec, 3) for s in playlist.segments[:2]] == [6.006, 6.006]


@pytest.mark.parametrize(
    ("rate", "expected"), [("120", "60"), ("50", "50"), ("24000/1001", "24000/1001")]
)
def test_the_frame_rate_is_kept_up_to_sixty(
    made: Make, clip_folder: Path, tools: Tools, rate: str, expected: str
) -> None:
    clip = ffmpeg(
        tools,
        clip_folder / f"rate-{rate.replace('/', '_')}.mp4",
        *("-f", "lavfi", "-i", f"testsrc2=s=320x240:r={rate}:d=1"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
    )
    result = made(clip)
    assert result.encoded.renditions[0].frame_rate == Fraction(expected)
    steps = [at for at, _ in result.frames(result.fallback)]
    assert len(steps) == pytest.approx(float(Fraction(expected)), abs=1)


def test_a_variable_rate_becomes_an_even_one(made: Make, clip_folder: Path, tools: Tools) -> None:
    result = made(clips.variable_rate(clip_folder, tools))
    times = [at for at, _ in result.frames(result.fallback)]
    steps = {round(later - earlier, 3) for earlier, later in pairwise(times)}
    assert steps == {round(1 / float(result.encoded.renditions[0].frame_rate), 3)}


def test_interlaced_pictures_have_no_combs_left(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    # Stripes that move between the two fields of a frame.
    combed = ffmpeg(
        tools,
        clip_folder / "combed.mp4",
        *("-f", "lavfi", "-i", "color=gray:s=320x240:r=50:d=1,format=yuv420p"),
        *("-vf", f"geq=lum='{MOVING_STRIPES}':cb=128,tinterlace=interleave_top,setfield=tff"),
        *("-c:v", "libx264", "-flags", "+ilme+ildct", "-x264-params", "tff=1"),
    )
    result = made(combed)
    assert result.info.interlaced
    assert interlaced_frames(tools, combed) > 15
    assert interlaced_frames(tools, result.fallback) == 0


MOVING_STRIPES = "if(lt(mod(X+6*N,80),40),200,50)"


def interlaced_frames(tools: Tools, path: Path) -> int:
    """Count the frames that look interlaced to ffmpeg's detector; flags are ignored."""
    command = [tools.ffmpeg, "-hide_banner", "-i", str(path), "-vf", "idet", "-f", "null", "-"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    counts = said.rpartition("Multi frame detection:")[2].split()
    return int(counts[1]) + int(counts[3])


PQ_CODES = {10: 327, 100: 509, 203: 573, 1000: 723, 4000: 855}
"""10-bit limited-range luma of greys by their cd/m², from SMPTE ST 2084."""
HLG_CODES = {0: 64, 26: 502, 203: 721, 1000: 940}
"""Luma of greys by their cd/m² on a display of 1000 cd/m², from ARIB STD-B67."""


@pytest.mark.parametrize(
    ("transfer", "codes"), [("smpte2084", PQ_CODES), ("arib-std-b67", HLG_CODES)]
)
def test_a_bright_hdr_picture_is_neither_washed_out_nor_black(
    made: Make, clip_folder: Path, tools: Tools, transfer: str, codes: dict[int, int]
) -> None:
    width = 64 * len(codes)
    tags = f"setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc:range=tv"
    levels = "+".join(f"{code}*eq(floor(X/64),{n})" for n, code in enumerate(codes.values()))
    clip = ffmpeg(
        tools,
        clip_folder / f"bars-{transfer}.mp4",
        *("-f", "lavfi", "-i", f"color=black:s={width}x240:r=25:d=0.4,format=yuv420p10le"),
        *("-vf", f"geq=lum='{levels}':cb=512:cr=512,{tags}", "-c:v", "libx265", "-crf", "8"),
        *("-x265-params", "log-level=error", "-pix_fmt", "yuv420p10le"),
    )
    result = made(clip)
    assert result.info.color_transfer == transfer
    command = [tools.ffmpeg, "-v", "error", "-i", str(result.fallback), "-frames:v", "1"]
    command += ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]
    frame = subprocess.run(command, check=True, capture_output=True).stdout
    luma = {nits: frame[width * 120 + 64 * n + 32] for n, nits in enumerate(codes)}
    steps = list(luma.values())
    assert steps == sorted(steps)
    # Reference white (BT.2408: 203 cd/m²) is a bright grey, and highlights stay distinct from it.
    assert 130 <= luma[203] <= 200
    assert luma[1000] - luma[203] >= 25
    assert steps[0] <= 75
    assert steps[-1] >= 210


def test_late_sound_stays_late(made: Make, clip_folder: Path, tools: Tools) -> None:
    source = clips.late_audio(clip_folder, tools)
    result = made(source)
    assert 0.9 < result.info.audio_start_sec < 1.1
    for path in result.everything:
        assert result.sound_begins_sec(path) == pytest.approx(1.0, abs=0.05)


def test_a_late_picture_is_held_from_the_start(made: Make, clip_folder: Path, tools: Tools) -> None:
    clip = ffmpeg(
        tools,
        clip_folder / "late-picture.mkv",
        *("-itsoffset", "0.8", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=1.2"),
        *("-f", "lavfi", "-i", "sine=d=2", "-c:v", "libx264", "-c:a", "aac"),
        *("-pix_fmt", "yuv420p", "-preset", "ultrafast"),
    )
    result = made(clip)
    assert result.encoded.duration_sec == pytest.approx(2.0, abs=0.05)
    assert result.frames(result.fallback)[0][0] == pytest.approx(0, abs=0.001)
    assert result.sound_begins_sec(result.fallback) < 0.05


def test_surround_sound_becomes_stereo_in_every_rendition(made: Make) -> None:
    result = made(SAMPLE)
    assert result.info.audio_channels == 6
    for path in result.everything:
        assert result.streams(path, "audio")[0]["channels"] == 2


def test_the_fallback_is_a_faststart_copy_of_a_rendition(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    hd = ffmpeg(
        tools,
        clip_folder / "hd.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=25:d=1"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
    )
    result = made(hd)
    data = result.fallback.read_bytes()
    boxes = walk(lambda offset, length: data[offset : offset + length], len(data))
    assert is_faststart(boxes)
    [video] = result.streams(result.fallback, "video")
    assert video["height"] == 720
    assert _packets(result, result.fallback) == _packets(
        result, result.encoded.outputs / "720p/index.m3u8"
    )


def _packets(result: Made, path: Path) -> list[str]:
    command = [result.tools.ffmpeg, "-v", "error", "-i", str(path), "-map", "0:v", "-c", "copy"]
    command += ["-bsf:v", "h264_mp4toannexb", "-f", "framehash", "-"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    return [line.rpartition(",")[2] for line in lines if not line.startswith("#")]


def flashing(tools: Tools, folder: Path) -> Path:
    """Make six seconds of black, except for a test picture in the fourth."""
    picture = "drawbox=c=black:t=fill:enable='lt(t,3)+gte(t,4)'"
    return ffmpeg(
        tools,
        folder / "flashing.mp4",
        *("-f", "lavfi", "-i", f"testsrc2=s=640x360:r=25:d=6,{picture}"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
    )


@pytest.mark.parametrize("wanted_sec", [None, 0.5, 3.5, 60.0])
def test_the_poster_is_not_black(
    made: Make, clip_folder: Path, tools: Tools, wanted_sec: float | None
) -> None:
    result = made(flashing(tools, clip_folder), poster_time_sec=wanted_sec)
    for name in ("poster.jpg", "thumb.jpg"):
        luma = result.luma(result.encoded.pictures / name)
        assert sum(luma) / len(luma) > 40


def test_the_poster_is_the_frame_that_was_asked_for(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    greys = ffmpeg(
        tools,
        clip_folder / "greys.mp4",
        *("-f", "lavfi", "-i", "color=gray:s=320x240:r=25:d=4,geq=lum='50+50*floor(T)':cb=128"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
    )
    result = made(greys, poster_time_sec=2.5)
    # 150 in limited range is 156 of 255 in the full range of a JPEG.
    assert result.luma(result.encoded.pictures / "poster.jpg")[0] == pytest.approx(150, abs=8)


def test_pictures_have_at_most_their_widths(made: Make) -> None:
    result = made(SAMPLE)
    for name, width in (("poster.jpg", 1280), ("thumb.jpg", 320)):
        [picture] = result.streams(result.encoded.pictures / name, "video")
        assert (picture["codec_name"], picture["width"]) == ("mjpeg", width)
        assert picture["height"] == width * 9 // 16


def test_a_source_that_ends_early_is_corrupt(made: Make, clip_folder: Path, tools: Tools) -> None:
    whole = ffmpeg(tools, clip_folder / "whole.mkv", "-i", str(SAMPLE), "-c", "copy")
    with pytest.raises(EncodeFailed) as failure:
        made(cut_off(whole, 0.5))
    assert (failure.value.code, failure.value.retryable) == ("source_corrupt", False)


def cut_off(clip: Path, share: float) -> Path:
    """Copy the first share of a clip whose container still declares its whole duration."""
    cut = clip.with_stem(f"{clip.stem}-{share}")
    cut.write_bytes(clip.read_bytes()[: int(clip.stat().st_size * share)])
    return cut


@pytest.mark.parametrize("share", [0.5, 0.75, 0.9])
def test_a_source_cut_off_where_only_the_sound_goes_on_is_corrupt(
    made: Make, clip_folder: Path, tools: Tools, share: float
) -> None:
    # Ten seconds of sound follow one second of picture: the cut is far after the picture's end.
    whole = ffmpeg(
        tools,
        clip_folder / "long-sound.mkv",
        *("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=1", "-f", "lavfi", "-i", "sine=d=11"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "50", "-pix_fmt", "yuv420p"),
        *("-c:a", "pcm_s16le"),
    )
    with pytest.raises(EncodeFailed) as failure:
        made(cut_off(whole, share))
    assert (failure.value.code, failure.value.retryable) == ("source_corrupt", False)


@pytest.mark.parametrize("kind", [clips.long_sound, clips.long_sound_webm])
def test_the_last_frame_stands_still_until_the_sound_ends(
    made: Make, kind: clips.Kind, clip_folder: Path, tools: Tools
) -> None:
    result = made(kind(clip_folder, tools))
    for path in result.everything:
        for stream in ("v", "a"):
            assert result.length_sec(path, stream) == pytest.approx(3.0, abs=0.05)
        pictures = result.pictures(path)
        assert len(pictures) == 75
        assert len(set(pictures[:25])) == 25
        still = pictures[24]
        assert max(difference(still, later) for later in pictures[25:]) < 2
        assert difference(pictures[0], still) > 4


def test_sound_that_ends_before_the_picture_is_followed_by_silence(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    result = made(clips.short_sound(clip_folder, tools))
    for path in result.everything:
        for stream in ("v", "a"):
            assert result.length_sec(path, stream) == pytest.approx(3.0, abs=0.05)


def difference(one: bytes, other: bytes) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


def test_a_source_whose_frames_cannot_be_decoded_is_corrupt(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    clip = clip_folder / "garbage.mp4"
    data = bytearray(clips.silent(clip_folder, tools).read_bytes())
    boxes = walk(lambda offset, length: bytes(data[offset : offset + length]), len(data))
    mdat = next(box for box in boxes if box.type == "mdat")
    data[mdat.offset + 8 : mdat.end] = bytes(mdat.size - 8)
    clip.write_bytes(data)
    with pytest.raises(EncodeFailed) as failure:
        made(clip)
    assert (failure.value.code, failure.value.retryable) == ("source_corrupt", False)


def test_the_largest_profile_allowed_is_the_top(made: Make) -> None:
    result = made(SAMPLE, max_profile="360p")
    assert [rendition.profile for rendition in result.encoded.renditions] == ["360p", "240p"]


def test_progress_rises_to_the_end(made: Make) -> None:
    progress = made(SAMPLE).progress
    percents = [percent for step, percent in progress if step == "encoding"]
    assert len(percents) > 1
    assert percents == sorted(percents)
    assert progress[-1] == ("packaging", 100.0)


@pytest.mark.parametrize("size", ["412x258", "258x412", "300x300"])
def test_a_source_between_two_profiles_is_shown_at_its_own_size(
    made: Make, clip_folder: Path, tools: Tools, size: str
) -> None:
    clip = ffmpeg(
        tools,
        clip_folder / f"between-{size}.mp4",
        *("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d=0.4"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
    )
    result = made(clip)
    master = parse_master((result.encoded.outputs / "master.m3u8").read_text())
    sides = tuple(map(int, size.split("x")))
    for path in (result.playlists[0], result.fallback):
        [video] = result.streams(path, "video")
        assert (video["width"], video["height"]) == sides
    assert sides in {(variant.width, variant.height) for variant in master.variants}
    assert result.encoded.losses == ()
