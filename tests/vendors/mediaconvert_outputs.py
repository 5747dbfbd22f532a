"""The files of a job as AWS Elemental MediaConvert lays them out in a bucket.

An HLS group with the destination ``s3://B/P/main`` has the master ``main.m3u8``, and for an
output with the modifier ``_720p`` the playlist ``main_720p.m3u8`` with the segments
``main_720p_00001.ts``.
A file group has one file, and frame captures are counted from 0 in seven digits.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CONTENT_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
}


def laid_out(settings: Mapping[str, Any], outputs: Path) -> dict[str, bytes]:
    """The files of a job by their ``s3://`` addresses.

    Args:
        settings: The member ``settings`` of the job.
        outputs: The folder of `tests.vendors.outputs`.
    """
    made: dict[str, bytes] = {}
    for group in settings["outputGroups"]:
        described = group["outputGroupSettings"]
        if described["type"] == "HLS_GROUP_SETTINGS":
            made |= _hls(described["hlsGroupSettings"]["destination"], group["outputs"], outputs)
            continue
        destination = described["fileGroupSettings"]["destination"]
        [output] = group["outputs"]
        made |= dict(_files(destination, output, outputs))
    return made


def put_all(client: Any, files: Mapping[str, bytes]) -> None:
    """Write files into their buckets, each with its content type, as the service does."""
    for address, content in files.items():
        place = urlsplit(address)
        kind = CONTENT_TYPES[Path(place.path).suffix]
        key = place.path.removeprefix("/")
        client.put_object(Bucket=place.netloc, Key=key, Body=content, ContentType=kind)


def _hls(destination: str, renditions: list[dict[str, Any]], outputs: Path) -> dict[str, bytes]:
    folder, name = outputs / "ts", destination.rpartition("/")[2]
    made, offers = {}, []
    stream = next(
        line for line in (folder / "master.m3u8").read_text().splitlines() if "STREAM-INF" in line
    )
    for rendition in renditions:
        own = f"{name}{rendition['nameModifier']}"
        segments = {
            each.name: f"{own}_{number:05}.ts"
            for number, each in enumerate(sorted(folder.glob("*.ts")), start=1)
        }
        playlist = (folder / "index.m3u8").read_text()
        for old, new in segments.items():
            playlist = playlist.replace(old, new)
            made[f"{destination.rpartition('/')[0]}/{new}"] = (folder / old).read_bytes()
        made[f"{destination}{rendition['nameModifier']}.m3u8"] = playlist.encode()
        offers.append(f"{stream}\n{own}.m3u8\n")
    made[f"{destination}.m3u8"] = "\n".join(["#EXTM3U\n#EXT-X-VERSION:3", *offers]).encode()
    return made


def _files(
    destination: str, output: Mapping[str, Any], outputs: Path
) -> Iterator[tuple[str, bytes]]:
    if output["containerSettings"]["container"] == "MP4":
        yield f"{destination}.mp4", (outputs / "video.mp4").read_bytes()
        return
    captures = output["videoDescription"]["codecSettings"]["frameCaptureSettings"]["maxCaptures"]
    for number in range(captures):
        yield f"{destination}.{number:07}.jpg", (outputs / "poster.jpg").read_bytes()
