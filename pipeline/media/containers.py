"""Detection of a file's container from its first bytes.

ffmpeg never guesses: its guess would accept a text file that names other files (HLS, DASH, concat,
SDP) or a picture as a video. ffmpeg gets the one demuxer that fits the bytes, and a file that fits
none is refused before ffmpeg opens it. The list holds the containers that phones, browsers, cameras
and screen recorders write. Excluded on purpose: playlists and text of any kind, images and image
sequences, raw elementary streams (no timestamps), MXF and ASF (studio and legacy formats with
large, little-tested demuxers).
"""

from dataclasses import dataclass

from pipeline.media.source_limits import MediaRefused, Refusal

HEAD_BYTES = 4096

_ISO_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
# HEIF and AVIF pictures and picture sequences, and Canon raw: boxes like MP4, content an image.
_IMAGE_BRANDS = (
    *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"),
    *(b"mif1", b"msf1", b"avif", b"avis", b"crx "),
)
_MPEGTS_SYNC = b"\x47"
_MPEGTS_PACKET_BYTES = 188
_M2TS_PACKET_BYTES = 192  # Blu-ray and camcorders put a 4-byte timestamp before each packet
_PACKETS_IN_STEP = 3  # so many sync bytes in a row are no coincidence
_AUDIO_MAGIC = (
    *(b"ID3", b"fLaC"),
    *(b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2"),  # MP3 frames without a tag
    *(b"\xff\xf1", b"\xff\xf9"),  # ADTS (raw AAC)
)


@dataclass(frozen=True)
class Container:
    """A container we accept: its name in `SourceInfo` and ffmpeg's demuxer for it."""

    name: str
    demuxer: str

    @property
    def has_boxes(self) -> bool:
        """True for a container of ISO-BMFF boxes."""
        return self.demuxer == "mov"


def container_of(head: bytes) -> Container:
    """Name the container from the first `HEAD_BYTES` of a file (fewer if it is shorter).

    Raises:
        MediaRefused: `source_empty`, `no_video_stream` for a sound-only format, or
            `unsupported_media`.
    """
    if not head:
        raise MediaRefused(Refusal.SOURCE_EMPTY, "The file is empty.")
    for recognise in (_iso, _matroska, _by_magic, _transport_stream):
        if container := recognise(head):
            return container
    if _is_audio_only(head):
        raise MediaRefused(Refusal.NO_VIDEO_STREAM, "The file is a sound file.")
    raise MediaRefused(Refusal.UNSUPPORTED_MEDIA, "The file is not a video format we accept.")


def _iso(head: bytes) -> Container | None:
    if head[4:8] not in _ISO_FIRST_BOXES:
        return None
    brand = head[8:12]
    if head[4:8] == b"ftyp" and brand in _IMAGE_BRANDS:
        return None
    is_mp4 = head[4:8] == b"ftyp" and brand != b"qt  "
    return Container("mp4" if is_mp4 else "mov", "mov")


def _matroska(head: bytes) -> Container | None:
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return None
    # The EBML header holds the document type; its elements take well under 64 bytes.
    return Container("webm" if b"webm" in head[:64] else "matroska", "matroska")


def _by_magic(head: bytes) -> Container | None:
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return Container("avi", "avi")
    if head.startswith(b"FLV\x01"):
        return Container("flv", "flv")
    if head.startswith(b"\x00\x00\x01\xba"):
        return Container("mpeg", "mpeg")
    if head.startswith(b"OggS"):
        return Container("ogg", "ogg")
    return None


def _transport_stream(head: bytes) -> Container | None:
    for first, step in ((0, _MPEGTS_PACKET_BYTES), (4, _M2TS_PACKET_BYTES)):
        syncs = head[first : first + _PACKETS_IN_STEP * step : step]
        if syncs == _MPEGTS_SYNC * _PACKETS_IN_STEP:
            return Container("mpegts", "mpegts")
    return None


def _is_audio_only(head: bytes) -> bool:
    return head.startswith(_AUDIO_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WAVE")
