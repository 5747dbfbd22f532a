import math

import m3u8
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
ENDS = st.sampled_from(("\n",) * 9 + ("\r\n", "\r", "\v", "\x1c", "\x85", "\u2028"))
MADE_UP = st.lists(st.tuples(ENDS, LINES), max_size=25).map(
    lambda lines: "#EXTM3U" + "".join(end + line for end, line in lines)
)
ADDRESSED = st.builds(
    "#EXT-X-{}{}={}".format,
    st.sampled_from(("MAP:", "KEY:METHOD=AES-128,", "SESSION-DATA:", "PRELOAD-HINT:TYPE=MAP,")),
    st.sampled_from(("URI", "uri", "Uri ", " URI", "X-URI", "URI=URI", 'X="a",URI')),
    st.sampled_from(('"{}"', "'{}'", "{}", ' "{}"', '"{}"x', '"{}', '"a,{}"')).map(
        lambda quoted: quoted.format("https://elsewhere.example/a")
    ),
)


@st.composite
def led_away(draw: st.DrawFn, original: bytes) -> str:
    """A playlist that is well-formed but for an address that somebody has put into it."""
    lines = original.decode().splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(1, len(lines)))
        hidden = draw(st.sampled_from(("", "#x", "\xa0", " ")))
        address = draw(ADDRESSED | st.just("https://elsewhere.example/a"))
        lines.insert(at, hidden + draw(ENDS if hidden else st.just("")) + address + draw(ENDS))
    return "".join(lines)


WRITTEN = st.one_of(
    MADE_UP,
    *(mutated(kind).map(lambda data: data.decode("utf-8", "replace")) for kind in (MASTER, MEDIA)),
    *(led_away(kind) for kind in (MASTER, MEDIA)),
)


def reported(text: str) -> set[str]:
    """Every address that m3u8 gives out for a playlist: where the gate could be led."""
    playlist = m3u8.loads(text)
    holders = [
        *(playlist.segments, playlist.segment_map, playlist.keys, playlist.session_keys),
        *(playlist.playlists, playlist.iframe_playlists, playlist.image_playlists),
        *(playlist.media, playlist.session_data, playlist.rendition_reports),
        *((segment.init_section, segment.key) for segment in playlist.segments),
        *(segment.parts for segment in playlist.segments),
        (playlist.preload_hint,),
    ]
    found = {getattr(one, "uri", None) for holder in holders for one in holder}
    steering = getattr(playlist.content_steering, "server_uri", None)
    return {uri for uri in (*found, steering) if uri}


@given(WRITTEN)
def test_a_master_is_read_whole_or_refused(text: str) -> None:
    try:
        master = parse_master(text)
    except PlaylistInvalid:
        return
    assert master.variants
    assert reported(text) <= master.addresses
    for variant in master.variants:
        assert variant.uri
        assert variant.bandwidth_bps > 0


@given(WRITTEN)
def test_a_media_playlist_is_read_whole_or_refused(text: str) -> None:
    try:
        playlist = parse_media(text)
    except PlaylistInvalid:
        return
    assert reported(text) <= playlist.addresses
    assert playlist.segments
    assert math.isfinite(playlist.duration_sec)
    assert playlist.duration_sec > 0
    assert all(segment.uri for segment in playlist.segments)
