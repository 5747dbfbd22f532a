import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.media.playlist import (
    MAX_PLAYLIST_CHARS,
    Master,
    MediaPlaylist,
    PlaylistInvalid,
    Segment,
    Variant,
    leaves_folder,
    parse_master,
    parse_media,
)

MASTER = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-STREAM-INF:BANDWIDTH=3500000,AVERAGE-BANDWIDTH=3000000,RESOLUTION=1280x720,\
CODECS="avc1.64001f,mp4a.40.2",FRAME-RATE=23.976
720p/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=600000
360p/index.m3u8
"""
MEDIA = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:6
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="init.mp4"
#EXTINF:6.006,
seg_00000.m4s
#EXTINF:2.5,
seg_00001.m4s
#EXT-X-ENDLIST
"""


def test_a_master_playlist_is_read() -> None:
    assert parse_master(MASTER) == Master(
        variants=(
            Variant(
                uri="720p/index.m3u8",
                bandwidth_bps=3_500_000,
                average_bandwidth_bps=3_000_000,
                width=1280,
                height=720,
                codecs="avc1.64001f,mp4a.40.2",
                frame_rate=23.976,
            ),
            Variant("360p/index.m3u8", 600_000, None, None, None, None, None),
        ),
        independent_segments=True,
        addresses=frozenset({"720p/index.m3u8", "360p/index.m3u8"}),
    )


def test_a_media_playlist_is_read() -> None:
    assert parse_media(MEDIA) == MediaPlaylist(
        target_duration_sec=6,
        duration_sec=8.506,
        segments=(Segment("seg_00000.m4s", 6.006), Segment("seg_00001.m4s", 2.5)),
        map_uri="init.mp4",
        ended=True,
        addresses=frozenset({"init.mp4", "seg_00000.m4s", "seg_00001.m4s"}),
    )


def test_a_playlist_that_may_still_grow_says_so() -> None:
    assert not parse_media(MEDIA.replace("#EXT-X-ENDLIST\n", "")).ended


def test_each_kind_of_playlist_is_refused_as_the_other() -> None:
    with pytest.raises(PlaylistInvalid):
        parse_master(MEDIA)
    with pytest.raises(PlaylistInvalid):
        parse_media(MASTER)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>Please log in</html>",
        "#EXTM3U\n",
        "#EXTM3U\n" + "x" * MAX_PLAYLIST_CHARS,
        MASTER.replace("BANDWIDTH=600000", "NAME=x"),
        MASTER.replace("BANDWIDTH=600000", "BANDWIDTH=-1"),
        MASTER.replace("BANDWIDTH=600000", "BANDWIDTH=many"),
        MASTER.replace("23.976", "nan"),
    ],
)
def test_a_broken_master_playlist_is_refused(text: str) -> None:
    with pytest.raises(PlaylistInvalid):
        parse_master(text)


@pytest.mark.parametrize(
    "text",
    [
        MEDIA.replace("#EXT-X-TARGETDURATION:6\n", ""),
        MEDIA.replace("6.006", "nan"),
        MEDIA.replace("6.006", "inf"),
        MEDIA.replace("6.006", "-6"),
        MEDIA.replace("6.006", "long"),
        MEDIA.replace('URI="init.mp4"', 'URI=""'),
    ],
)
def test_a_broken_media_playlist_is_refused(text: str) -> None:
    with pytest.raises(PlaylistInvalid):
        parse_media(text)


@pytest.mark.parametrize(
    "uri",
    [
        "https://elsewhere.example/a.m4s",
        "//elsewhere.example/a.m4s",
        "/etc/passwd",
        "file:///etc/passwd",
        "../a.m4s",
        "a/../../b.m4s",
        "%2e%2e/a.m4s",
        "..\\a.m4s",
        "data:text/plain,x",
        "\x01//elsewhere.example/a.m4s",
        " //elsewhere.example/a.m4s",
        "/\t/elsewhere.example/a.m4s",
        ".\t./a.m4s",
        "\\\\elsewhere.example\\a.m4s",
        "HTTPS:a.m4s",
        "//[",
        "{$elsewhere}/a.m4s",
    ],
    ids=ascii,
)
def test_an_address_outside_the_folder_is_told(uri: str) -> None:
    assert leaves_folder(uri)


@pytest.mark.parametrize("uri", ["a.m4s", "720p/index.m3u8", "a..b/c.m4s", "a.m4s?token=x/../y"])
def test_an_address_inside_the_folder_is_fine(uri: str) -> None:
    assert not leaves_folder(uri)


def media_with(lines: str) -> str:
    return MEDIA.replace("#EXT-X-PLAYLIST-TYPE:VOD\n", lines)


@pytest.mark.parametrize(
    "tag",
    [
        'KEY:METHOD=AES-128,URI="there"',
        'MAP:URI="there"',
        'PART:DURATION=1,URI="there"',
        'PRELOAD-HINT:TYPE=PART,URI="there"',
        'RENDITION-REPORT:URI="there",LAST-MSN=1',
        'SESSION-DATA:DATA-ID="a",URI="there"',
        'SESSION-KEY:METHOD=AES-128,URI="there"',
        'CONTENT-STEERING:SERVER-URI="there"',
        'DATERANGE:ID="a",START-DATE="2026-01-01T00:00:00Z",X-ASSET-URI="there"',
        'DATERANGE:ID="a",START-DATE="2026-01-01T00:00:00Z",X-ASSET-LIST="there"',
        'TAG-OF-TOMORROW:URI="there"',
        "MAP:uri=there",
        "KEY:METHOD=AES-128,Uri = 'there'",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=ascii)
def test_every_address_is_told_whichever_tag_holds_it(tag: str, end: str) -> None:
    text = media_with(f"#EXT-X-{tag}\n").replace("\n", end)

    assert "there" in {address.strip(" '") for address in parse_media(text).addresses}


@pytest.mark.parametrize(
    "tag", ['MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="b",URI="there"', 'I-FRAME-STREAM-INF:URI="there"']
)
def test_a_master_tells_of_every_playlist_and_not_of_its_variants_alone(tag: str) -> None:
    assert "there" in parse_master(f"{MASTER}#EXT-X-{tag}\n").addresses


@pytest.mark.parametrize("separator", [*"\r\v\f\t\0\x1c\x1d\x1e\x7f\x85\u2028\u2029"], ids=ascii)
def test_what_ends_a_line_for_some_readers_only_is_refused(separator: str) -> None:
    hidden = f"#x{separator}https://elsewhere.example/a"

    with pytest.raises(PlaylistInvalid, match="characters"):
        parse_media(MEDIA.replace("seg_00001.m4s", f"{hidden}\nseg_00001.m4s"))
    with pytest.raises(PlaylistInvalid, match="characters"):
        parse_master(MASTER.replace("360p/index.m3u8", f"{hidden}\n360p/index.m3u8"))


@pytest.mark.parametrize(
    "attribute",
    [
        "URI=https://elsewhere.example/a",
        "URI='https://elsewhere.example/a'",
        'URI= "https://elsewhere.example/a"',
        'URI ="https://elsewhere.example/a"',
        'URI="a"/../../b"',
        'BYTERANGE="1@0",URI=b,URI="c"',
    ],
)
def test_an_address_that_is_not_simply_quoted_is_refused(attribute: str) -> None:
    with pytest.raises(PlaylistInvalid, match="quotes"):
        parse_media(media_with(f"#EXT-X-MAP:{attribute}\n"))


LINES = [*MASTER.splitlines(), *MEDIA.splitlines()]


@given(st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=20)), max_size=20), st.data())
def test_no_text_breaks_the_reader(lines: list[str], data: st.DataObject) -> None:
    text = "\n".join(["#EXTM3U", *lines])
    cut = data.draw(st.integers(0, len(text)))
    for parse in (parse_master, parse_media):
        try:
            parse(text[:cut])
        except PlaylistInvalid as error:
            assert error.detail  # noqa: PT017  # refusing is one of the two right outcomes
