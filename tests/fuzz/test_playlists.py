import math

from hypothesis import given
from hypothesis import strategies as st

from pipeline.media.playlist import PlaylistInvalid, parse_master, parse_media
from tests.fuzz.mutations import HOSTILE_TEXT, mutated

MASTER = b"""#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="en",DEFAULT=YES,URI="a.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=3500000,AVERAGE-BANDWIDTH=3000000,RESOLUTION=1280x720,\
CODECS="avc1.64001f,mp4a.40.2",FRAME-RATE=23.976
720p/index.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i.m3u8"
"""
MEDIA = b"""#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:6
#EXT-X-MEDIA-SEQUENCE:1
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0x00
#EXT-X-MAP:URI="init.mp4",BYTERANGE="10@0"
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z
#EXTINF:6.006,
#EXT-X-BYTERANGE:100@0
seg_00000.m4s
#EXT-X-DISCONTINUITY
#EXTINF:2.5,
seg_00001.m4s
#EXT-X-ENDLIST
"""
TAGS = st.sampled_from(
    (
        *sorted({line.partition(b":")[0].decode() for line in (MASTER + MEDIA).splitlines()}),
        *("#EXT-X-CUE-OUT", "#EXT-X-DATERANGE", "#EXT-X-PART", "#EXT-X-SKIP"),
        "#EXT-X-SERVER-CONTROL",
    )
)
ATTRIBUTES = st.lists(
    st.tuples(
        st.sampled_from(("BANDWIDTH", "URI", "RESOLUTION", "FRAME-RATE", "BYTERANGE", "IV", "X")),
        HOSTILE_TEXT | st.text(max_size=10),
    ),
    max_size=4,
).map(lambda pairs: ",".join(f"{name}={value}" for name, value in pairs))
LINES = st.builds("{}:{}".format, TAGS, ATTRIBUTES | HOSTILE_TEXT) | TAGS | HOSTILE_TEXT
MADE_UP = st.lists(LINES, max_size=25).map(lambda lines: "\n".join(["#EXTM3U", *lines]))
WRITTEN = MADE_UP | st.one_of(mutated(MASTER), mutated(MEDIA)).map(
    lambda data: data.decode("utf-8", "replace")
)


@given(WRITTEN)
def test_a_master_is_read_whole_or_refused(text: str) -> None:
    try:
        master = parse_master(text)
    except PlaylistInvalid:
        return
    assert master.variants
    for variant in master.variants:
        assert variant.uri
        assert variant.bandwidth_bps > 0


@given(WRITTEN)
def test_a_media_playlist_is_read_whole_or_refused(text: str) -> None:
    try:
        playlist = parse_media(text)
    except PlaylistInvalid:
        return
    assert playlist.segments
    assert math.isfinite(playlist.duration_sec)
    assert playlist.duration_sec > 0
    assert all(segment.uri for segment in playlist.segments)
