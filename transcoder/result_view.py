"""Result of a job as clients see it: the keys of the outputs, and their measurements."""

from typing import Any

from transcoder.encode.encode_source import Encoded
from transcoder.encode.fallback import FALLBACK
from transcoder.encode.ffmpeg_arguments import PLAYLIST
from transcoder.encode.master_playlist import MASTER
from transcoder.encode.measured_rendition import MeasuredRendition
from transcoder.encode.pictures import POSTER, THUMBNAIL
from transcoder.encode.storyboard_sheet import CUES
from transcoder.jobs import OutputTarget


def result_view(output: OutputTarget, encoded: Encoded, published_bytes: int) -> dict[str, Any]:
    """Describe a published encode as JSON values; outputs are named `storage:{key}`.

    `storyboard` is present only if one was drawn. `warnings` names the differences from the source.
    """
    top = encoded.renditions[0]
    return {
        "duration_sec": round(encoded.duration_sec, 3),
        "width": top.width,
        "height": top.height,
        "source": encoded.source.to_json(),
        "manifest": f"storage:{output.prefix}/{MASTER}",
        "fallback": f"storage:{output.prefix}/{FALLBACK}",
        "poster": f"storage:{output.poster_prefix}/{POSTER}",
        "thumbnail": f"storage:{output.poster_prefix}/{THUMBNAIL}",
        **_storyboard(output, encoded),
        "bytes": published_bytes,
        "warnings": [loss.to_json() for loss in encoded.losses],
        "renditions": [_rendition(output, rendition) for rendition in encoded.renditions],
    }


def _storyboard(output: OutputTarget, encoded: Encoded) -> dict[str, str]:
    if not encoded.has_storyboard:
        return {}
    return {"storyboard": f"storage:{output.poster_prefix}/{CUES}"}


def _rendition(output: OutputTarget, rendition: MeasuredRendition) -> dict[str, Any]:
    return {
        "profile": rendition.profile,
        "width": rendition.width,
        "height": rendition.height,
        "frame_rate": round(float(rendition.frame_rate), 3),
        "bandwidth_bps": rendition.bandwidth_bps,
        "average_bandwidth_bps": rendition.average_bandwidth_bps,
        "codecs": rendition.codecs,
        "playlist": f"storage:{output.prefix}/{rendition.profile}/{PLAYLIST}",
    }
