"""Test videos, one function a kind, each made by the ffmpeg command that explains it.

Every function takes the folder to put the clip in and the tools, and gives the clip's path; a
clip that is there already is not made again, and a half-made one is never seen, so that one folder
serves all processes of a test run.
Clips are 0.4 to 3 s long and small. The pictures move and the sound is a tone, so that nothing
about them looks black, still or silent to a check.
"""

import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

from pipeline.media.tools import Tools

Kind = Callable[[Path, Tools], Path]

_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
_AAC = ("-c:a", "aac", "-b:a", "64k")
# The build's x265 encodes 8 bits only, so the one 10-bit stream is kept; see media/README.md.
_MAIN_10 = Path(__file__).parent / "media" / "testsrc2-main10-320x180-1s.hevc"


def widescreen(folder: Path, tools: Tools) -> Path:
    """H.264 and AAC in MP4, 640x360 at 25 fps, 2 s: what most sources are like."""
    return _encode(
        folder, tools, "widescreen.mp4", *_video("640x360", "25", 2), *_tone(2), *_X264, *_AAC
    )


def portrait(folder: Path, tools: Tools) -> Path:
    """Stored upright: 360x640."""
    return _encode(
        folder, tools, "portrait.mp4", *_video("360x640", "25", 1), *_tone(1), *_X264, *_AAC
    )


def rotated(folder: Path, tools: Tools) -> Path:
    """Stored as 640x360 with a display matrix that stands it upright, as phones do."""
    upright = widescreen(folder, tools)
    return _ffmpeg(
        folder, tools, "rotated.mp4", "-display_rotation", "270", "-i", str(upright), "-c", "copy"
    )


def film_rate(folder: Path, tools: Tools) -> Path:
    """24000/1001 fps."""
    rate = "24000/1001"
    return _encode(
        folder, tools, "film_rate.mp4", *_video("320x180", rate, 2), *_tone(2), *_X264, *_AAC
    )


def variable_rate(folder: Path, tools: Tools) -> Path:
    """A screen recording's rhythm: 30 fps whose second half lacks two frames of three."""
    thinned = "select='lt(t,1)+not(mod(n,3))'"
    return _encode(
        folder,
        tools,
        "variable_rate.mp4",
        *_video("320x180", "30", 2),
        *_tone(2),
        "-vf",
        thinned,
        "-fps_mode",
        "vfr",
        *_X264,
        *_AAC,
    )


def hevc_10_bit(folder: Path, tools: Tools) -> Path:
    """HEVC Main 10 in BT.709, without HDR."""
    return _main_10(folder, tools, "hevc_10_bit.mp4", primaries=1, transfer=1, matrix=1)


def hdr_pq(folder: Path, tools: Tools) -> Path:
    """HDR10's transfer (SMPTE ST 2084) in BT.2020."""
    return _main_10(folder, tools, "hdr_pq.mp4", primaries=9, transfer=16, matrix=9)


def hdr_hlg(folder: Path, tools: Tools) -> Path:
    """Hybrid log-gamma (ARIB STD-B67) in BT.2020, as phones record."""
    return _main_10(folder, tools, "hdr_hlg.mp4", primaries=9, transfer=18, matrix=9)


def vp9_webm(folder: Path, tools: Tools) -> Path:
    """VP9 and Opus in WebM."""
    codecs = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus")
    return _encode(folder, tools, "vp9.webm", *_video("320x180", "25", 1), *_tone(1), *codecs)


def streamed_webm(folder: Path, tools: Tools) -> Path:
    """WebM as a browser's MediaRecorder writes it: no duration, no index."""
    source = vp9_webm(folder, tools)
    return _ffmpeg(folder, tools, "streamed.webm", "-i", str(source), "-c", "copy", "-live", "1")


def prores_mov(folder: Path, tools: Tools) -> Path:
    """ProRes 422 with PCM sound in QuickTime, 10-bit 4:2:2."""
    codecs = ("-c:v", "prores_ks", "-profile:v", "0", "-c:a", "pcm_s16le")
    return _encode(folder, tools, "prores.mov", *_video("320x180", "25", 1), *_tone(1), *codecs)


def odd_size(folder: Path, tools: Tools) -> Path:
    """321x181: in 4:4:4, as 4:2:0 halves both sides."""
    codec = (
        "-vf",
        "scale=321:181,setsar=1,format=yuv444p",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
    )
    return _encode(
        folder, tools, "odd_size.mp4", *_video("320x180", "25", 1), *_tone(1), *codec, *_AAC
    )


def silent(folder: Path, tools: Tools) -> Path:
    """No audio stream at all."""
    return _encode(folder, tools, "silent.mp4", *_video("320x180", "25", 1), *_X264)


def very_short(folder: Path, tools: Tools) -> Path:
    """0.4 s: ten frames, shorter than any segment or GOP."""
    return _encode(
        folder, tools, "very_short.mp4", *_video("320x180", "25", 0.4), *_tone(0.4), *_X264, *_AAC
    )


def anamorphic(folder: Path, tools: Tools) -> Path:
    """PAL 4:3 as DV stores it: 720x576 with pixels of 16:15, shown as 768x576."""
    squeeze = ("-vf", "setsar=16/15")
    return _encode(
        folder,
        tools,
        "anamorphic.mp4",
        *_video("720x576", "25", 1),
        *_tone(1),
        *squeeze,
        *_X264,
        *_AAC,
    )


def interlaced(folder: Path, tools: Tools) -> Path:
    """Two fields a frame, top first, coded as such: 25 fps from 50 pictures a second."""
    weave = ("-vf", "tinterlace=interleave_top,setfield=tff", "-flags", "+ilme+ildct")
    return _encode(
        folder,
        tools,
        "interlaced.mp4",
        *_video("320x240", "50", 1),
        *_tone(1),
        *weave,
        *_X264,
        "-x264-params",
        "tff=1",
        *_AAC,
    )


def late_audio(folder: Path, tools: Tools) -> Path:
    """The sound begins 1 s after the picture."""
    late_tone = ("-itsoffset", "1", *_tone(1))
    return _encode(
        folder, tools, "late_audio.mp4", *_video("320x180", "25", 2), *late_tone, *_X264, *_AAC
    )


def long_sound(folder: Path, tools: Tools) -> Path:
    """1 s of picture, 3 s of sound: the last frame stands still while somebody goes on talking."""
    return _encode(
        folder, tools, "long_sound.mp4", *_video("320x180", "25", 1), *_tone(3), *_X264, *_AAC
    )


def long_sound_webm(folder: Path, tools: Tools) -> Path:
    """The same as a browser streams it: nothing in the file says how long anything is."""
    codecs = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus")
    streams = (*_video("320x180", "25", 1), *_tone(3), *codecs)
    return _encode(folder, tools, "long_sound.webm", *streams, "-live", "1")


def short_sound(folder: Path, tools: Tools) -> Path:
    """3 s of picture, 1 s of sound."""
    return _encode(
        folder, tools, "short_sound.mp4", *_video("320x180", "25", 3), *_tone(1), *_X264, *_AAC
    )


def transport_stream(folder: Path, tools: Tools) -> Path:
    """MPEG-TS, whose clock does not begin at 0."""
    return _ffmpeg(folder, tools, "stream.ts", "-i", str(widescreen(folder, tools)), "-c", "copy")


def fragmented(folder: Path, tools: Tools) -> Path:
    """MP4 in fragments, each a box of its own, as streaming recorders write it."""
    flags = ("-movflags", "frag_keyframe+empty_moov+default_base_moof", "-c", "copy")
    return _ffmpeg(folder, tools, "fragmented.mp4", "-i", str(widescreen(folder, tools)), *flags)


def faststart(folder: Path, tools: Tools) -> Path:
    """The index in front, as for progressive download."""
    flags = ("-c", "copy", "-movflags", "+faststart")
    return _ffmpeg(folder, tools, "faststart.mp4", "-i", str(widescreen(folder, tools)), *flags)


def audio_only(folder: Path, tools: Tools) -> Path:
    """AAC in MP4 and no picture."""
    return _encode(folder, tools, "audio_only.mp4", *_tone(1), *_AAC)


def cover_art_mp4(folder: Path, tools: Tools) -> Path:
    """Sound in MP4 with a cover, which is a video stream of one frame to a careless reader."""
    inputs = ("-i", str(audio_only(folder, tools)), "-i", str(image(folder, tools)))
    cover = ("-map", "0:a", "-map", "1:v", "-c", "copy", "-disposition:v:0", "attached_pic")
    return _ffmpeg(folder, tools, "cover_art.mp4", *inputs, *cover)


def cover_art_mp3(folder: Path, tools: Tools) -> Path:
    """MP3 with a cover."""
    inputs = ("-i", str(audio_only(folder, tools)), "-i", str(image(folder, tools)))
    cover = ("-map", "0:a", "-map", "1:v", "-c:a", "libmp3lame", "-c:v", "copy")
    return _ffmpeg(
        folder, tools, "cover_art.mp3", *inputs, *cover, "-disposition:v:0", "attached_pic"
    )


def truncated(folder: Path, tools: Tools) -> Path:
    """An MP4 with its index in front whose second half never arrived."""
    return _cut_in_half(faststart(folder, tools), folder / "truncated.mp4")


def truncated_index_last(folder: Path, tools: Tools) -> Path:
    """An MP4 with its index at the end, which never arrived."""
    return _cut_in_half(widescreen(folder, tools), folder / "truncated_index_last.mp4")


def html(folder: Path, tools: Tools) -> Path:
    """A web page named .mp4: what a login wall serves for a video."""
    return _written(
        folder / "html.mp4", b"<!DOCTYPE html><html><body>Please log in</body></html>\n"
    )


def empty(folder: Path, tools: Tools) -> Path:
    """0 bytes."""
    return _written(folder / "empty.mp4", b"")


def image(folder: Path, tools: Tools) -> Path:
    """A JPEG."""
    frame = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=1:duration=1", "-frames:v", "1")
    return _ffmpeg(folder, tools, "image.jpg", *frame, "-c:v", "mjpeg", "-update", "1")


def local_file_playlist(folder: Path, tools: Tools) -> Path:
    """An HLS playlist named .mp4 that asks whoever opens it for a file of the machine."""
    playlist = (
        "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-TARGETDURATION:1\n"
        "#EXTINF:1.0,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    )
    return _written(folder / "playlist.mp4", playlist.encode())


ACCEPTED: tuple[Kind, ...] = (
    *(widescreen, portrait, rotated, film_rate, variable_rate, hevc_10_bit, hdr_pq, hdr_hlg),
    *(vp9_webm, streamed_webm, prores_mov, odd_size, silent, very_short, anamorphic, interlaced),
    *(late_audio, transport_stream, fragmented, faststart),
)
"""Every kind that is a video."""

REFUSED: dict[Kind, str] = {
    audio_only: "no_video_stream",
    cover_art_mp4: "no_video_stream",
    cover_art_mp3: "no_video_stream",
    truncated: "source_corrupt",
    truncated_index_last: "source_corrupt",
    html: "unsupported_media",
    empty: "source_empty",
    image: "unsupported_media",
    local_file_playlist: "unsupported_media",
}
"""Every kind that is not, with the code it is refused with."""


def _video(size: str, rate: str, duration_sec: float) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={duration_sec}")


def _tone(duration_sec: float) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={duration_sec}")


def _main_10(
    folder: Path,
    tools: Tools,
    name: str,
    *,
    primaries: int,
    transfer: int,
    matrix: int,
) -> Path:
    """Wrap the 10-bit stream and write these codes of ITU-T H.273 into it."""
    tags = (
        f"hevc_metadata=colour_primaries={primaries}:transfer_characteristics={transfer}"
        f":matrix_coefficients={matrix}:video_full_range_flag=0"
    )
    stream = ("-framerate", "25", "-f", "hevc", "-i", str(_MAIN_10))
    copied = ("-c:v", "copy", "-bsf:v", tags, "-tag:v", "hvc1")
    return _encode(folder, tools, name, *stream, *_tone(1), *copied, *_AAC)


def _encode(folder: Path, tools: Tools, name: str, *arguments: str) -> Path:
    # Bit-exact, so that the same clip has the same size and hash in every session.
    return _ffmpeg(folder, tools, name, *arguments, "-fflags", "+bitexact")


def _ffmpeg(folder: Path, tools: Tools, name: str, *arguments: str) -> Path:
    clip = folder / name
    if clip.exists():
        return clip
    growing = folder / f"{uuid.uuid4().hex}-{name}"
    command = (tools.ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *arguments)
    subprocess.run([*command, str(growing)], check=True, timeout=240)
    return growing.replace(clip)


def _cut_in_half(whole: Path, clip: Path) -> Path:
    content = whole.read_bytes()
    return _written(clip, content[: len(content) // 2])


def _written(clip: Path, content: bytes) -> Path:
    growing = clip.with_name(f"{uuid.uuid4().hex}-{clip.name}")
    growing.write_bytes(content)
    return growing.replace(clip)
