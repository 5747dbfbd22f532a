"""The table of formats: a row makes a file with ffmpeg and names its outcome."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from pipeline.domain.output_warnings import WarningCode
from pipeline.media.tools import Tools

SECONDS = 1
FLASH = "drawbox=color=white:thickness=fill:enable='between(t,0.45,0.65)'"
BEEP = f"aevalsrc='sin(2*PI*440*t)/2*between(t,0.5,0.7)':s=48000:d={SECONDS}"
"""A tone that begins with the flash."""
PICTURE = f"testsrc2=size=160x120:rate=10:duration={SECONDS},{FLASH}"
PLAIN = "yuv420p"
HDR = f"{PICTURE},setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"


@dataclass(frozen=True)
class Format:
    """A kind of source that is accepted.

    Attributes:
        suffix: Of the file's name; it chooses the container.
        picture: Name of the codec, and of the form of the picture if it is unusual.
        sound: Likewise; empty for none.
        encoder: ffmpeg's encoder of the picture.
        sound_encoder: ffmpeg's encoder of the sound.
        options: Further options.
        pixels: Format of the pixels.
        source: Expression of a picture, for one that is not the usual one.
        channels: Layout of the sound.
        warned: The warnings of its outputs.
        keeps_tones: False if its pictures cannot have the brightness of the source.
    """

    suffix: str
    picture: str
    sound: str
    encoder: str
    sound_encoder: str = ""
    options: tuple[str, ...] = ()
    pixels: str = PLAIN
    source: str = PICTURE
    channels: str = "stereo"
    warned: tuple[WarningCode, ...] = ()
    keeps_tones: bool = True

    @property
    def name(self) -> str:
        """The row's name, for the test that holds it."""
        return "-".join(filter(None, (self.suffix, self.picture, self.sound))).replace(" ", "_")

    def make(self, folder: Path, tools: Tools) -> Path:
        """Make a file of this format."""
        path = folder / f"source.{self.suffix}"
        command = [tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", self.source]
        if self.sound:
            command += ["-f", "lavfi", "-i", f"{BEEP},aformat=channel_layouts={self.channels}"]
            command += ["-c:a", self.sound_encoder]
        command += ["-c:v", self.encoder, "-pix_fmt", self.pixels, "-strict", "-2"]
        subprocess.run([*command, *self.options, str(path)], check=True)
        return path


_FAST = ("-preset", "ultrafast")
_AV1 = ("-cpu-used", "8", "-usage", "realtime")
_VP9 = ("-deadline", "realtime", "-cpu-used", "8")

FORMATS = (
    Format("mp4", "H.264", "AAC", "libx264", "aac"),
    Format("mp4", "H.264", "", "libx264"),
    Format("mp4", "H.264", "AC-3", "libx264", "ac3"),
    Format("mp4", "H.264", "FLAC", "libx264", "flac"),
    Format("mp4", "HEVC", "E-AC-3", "libx265", "eac3", (*_FAST, "-tag:v", "hvc1")),
    Format("mp4", "AV1", "Opus", "libaom-av1", "libopus", _AV1),
    Format("mp4", "VP9", "Opus", "libvpx-vp9", "libopus", _VP9),
    Format("mp4", "MPEG-4", "MP3", "mpeg4", "libmp3lame"),
    Format("mov", "ProRes", "PCM", "prores_ks", "pcm_s16le", pixels="yuv422p10le"),
    Format(
        "mov",
        "ProRes 4444 with transparency",
        "PCM",
        "prores_ks",
        "pcm_s16le",
        pixels="yuva444p10le",
        warned=(WarningCode.TRANSPARENCY_DROPPED,),
    ),
    Format("mov", "Motion JPEG", "ALAC", "mjpeg", "alac", pixels="yuvj420p"),
    Format("webm", "VP8", "Vorbis", "libvpx", "libvorbis"),
    Format("webm", "VP9", "Opus", "libvpx-vp9", "libopus", _VP9),
    Format("webm", "AV1", "Opus", "libaom-av1", "libopus", _AV1),
    Format(
        "webm",
        "VP9 with transparency",
        "Opus",
        "libvpx-vp9",
        "libopus",
        _VP9,
        pixels="yuva420p",
        warned=(WarningCode.TRANSPARENCY_DROPPED,),
    ),
    Format("mkv", "FFV1", "FLAC", "ffv1", "flac"),
    Format("mkv", "HEVC", "DTS", "libx265", "dca", _FAST),
    Format("mkv", "H.264", "TrueHD", "libx264", "truehd"),
    Format("ts", "H.264", "AAC", "libx264", "aac"),
    Format("ts", "MPEG-2", "MP2", "mpeg2video", "mp2", ("-r", "25")),
    Format("avi", "MPEG-4", "MP3", "mpeg4", "libmp3lame"),
    Format("avi", "Motion JPEG", "PCM", "mjpeg", "pcm_s16le", pixels="yuvj420p"),
    Format("flv", "Sorenson H.263", "MP3", "flv", "libmp3lame", ("-ar", "44100")),
    Format("flv", "H.264", "AAC", "libx264", "aac"),
    Format("mpg", "MPEG-2", "MP2", "mpeg2video", "mp2", ("-r", "25")),
    Format("ogv", "Theora", "Vorbis", "libtheora", "libvorbis"),
    Format(
        "mp4",
        "H.264",
        "AAC 5.1",
        "libx264",
        "aac",
        channels="5.1",
        warned=(WarningCode.SOUND_DOWNMIXED,),
    ),
    Format(
        "mp4",
        "H.264 in HDR (PQ)",
        "AAC",
        "libx264",
        "aac",
        source=HDR,
        keeps_tones=False,
        warned=(WarningCode.HDR_CONVERTED,),
    ),
    Format(
        "mp4",
        "H.264 at 120 frames a second",
        "AAC",
        "libx264",
        "aac",
        _FAST,
        source=f"testsrc2=size=160x120:rate=120:duration={SECONDS},{FLASH}",
        warned=(WarningCode.FRAME_RATE_LOWERED,),
    ),
)


@dataclass(frozen=True)
class Refused:
    """A kind of file that is refused.

    Attributes:
        what: The kind, for the page.
        code: The failure.
    """

    what: str
    code: str


REFUSED = {
    "empty": Refused("an empty file", "source_empty"),
    "html": Refused("a page, a text or a playlist, whatever its name", "unsupported_media"),
    "image": Refused("a picture: JPEG, PNG, GIF, HEIC, AVIF, WebP", "unsupported_media"),
    "windows_media": Refused("Windows Media, RealMedia, Flash, MXF", "unsupported_media"),
    "raw_h264": Refused("a raw stream without a container", "unsupported_media"),
    "audio_only": Refused("sound alone, with or without cover art", "no_video_stream"),
    "truncated": Refused("a file that lacks its end or its index", "source_corrupt"),
    "matroska_unknown_codec": Refused("a picture in a codec unknown to ffmpeg", "undecodable"),
    "encrypted": Refused("an encrypted picture", "source_encrypted"),
    "three_thousand_tracks": Refused("thousands of tracks", "source_corrupt"),
    "pixels_65535_wide_one_high": Refused(
        "more than 16384 pixels on a side, 32 tracks or 1000 frames a second", "source_unusual"
    ),
    "matroska_of_8192_by_8192": Refused(
        "a frame of more than 8192 by 4320 pixels", "source_too_large"
    ),
}
"""The refused files, by the name of the test file that stands for them."""
