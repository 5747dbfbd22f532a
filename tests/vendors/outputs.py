"""The outputs that the fakes serve, made once of a clip: HLS of both kinds, an MP4 and pictures."""

import subprocess
from pathlib import Path

from pipeline.media.tools import Tools

_VIDEO = ("-vf", "scale=320:-2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
_SOUND = ("-c:a", "aac", "-b:a", "64k")
_HLS = ("-f", "hls", "-hls_playlist_type", "vod", "-hls_time", "1")
_MASTER = ("-master_pl_name", "master.m3u8")
_CAPTIONS = """#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:3
#EXTINF:2.0,
captions.vtt
#EXT-X-ENDLIST
"""
_WEBVTT = """WEBVTT
X-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000

00:00.000 --> 00:01.500
A walk.
"""


def make_outputs(folder: Path, clip: Path, tools: Tools) -> Path:
    """Fill a folder: ``ts/`` and ``fmp4/`` with master.m3u8, index.m3u8, captions.m3u8 and
    captions.vtt, which no manifest names, and beside them video.mp4, poster.jpg, and
    storyboard.jpg (two tiles of 80x44).
    """
    encode = (*_VIDEO, *_SOUND)
    for kind in ("mpegts", "fmp4"):
        hls = folder / kind.removeprefix("mpeg")
        hls.mkdir(parents=True)
        segments = ("-hls_segment_type", kind, *_MASTER)
        _ffmpeg(hls, clip, tools, *encode, *_HLS, *segments, "index.m3u8")
        (hls / "captions.m3u8").write_text(_CAPTIONS)
        (hls / "captions.vtt").write_text(_WEBVTT)
    _ffmpeg(folder, clip, tools, *encode, "-movflags", "+faststart", "video.mp4")
    picture = ("-vf", "scale=320:-2", "-frames:v", "1", "-update", "1")
    _ffmpeg(folder, clip, tools, "-ss", "0.5", *picture, "poster.jpg")
    sheet = ("-vf", "fps=2,scale=80:44,tile=2x1", "-frames:v", "1", "-update", "1")
    _ffmpeg(folder, clip, tools, *sheet, "storyboard.jpg")
    return folder


def with_captions(master: str) -> str:
    """A master playlist that offers the captions, as vendors name theirs."""
    media = (
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="English",LANGUAGE="en",'
        'AUTOSELECT=YES,DEFAULT=NO,FORCED=NO,URI="captions.m3u8"'
    )
    head, _, rest = master.partition("\n")
    offered = rest.replace("#EXT-X-STREAM-INF:", '#EXT-X-STREAM-INF:SUBTITLES="subs",')
    return f"{head}\n{media}\n{offered}"


def placed(folder: Path, manifest: str, fallback: str, *pictures: str) -> dict[str, Path]:
    """The outputs by the keys of a storage: HLS beside the manifest, the MP4, and pictures."""
    hls = manifest.rpartition("/")[0]
    return {
        **{f"{hls}/{path.name}": path for path in (folder / "ts").iterdir()},
        manifest: folder / "ts" / "master.m3u8",
        fallback: folder / "video.mp4",
        **dict.fromkeys(pictures, folder / "poster.jpg"),
    }


def _ffmpeg(folder: Path, clip: Path, tools: Tools, *arguments: str) -> None:
    command = (tools.ffmpeg, "-v", "error", "-nostdin", "-y", "-i", str(clip), *arguments)
    subprocess.run(command, cwd=folder, check=True, timeout=240)
