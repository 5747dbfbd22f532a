import pytest

from pipeline.media.captions import CaptionsInvalid, check_captions

CAPTIONS = b"""WEBVTT - a walk
X-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000

NOTE made by a machine

1
00:00.000 --> 00:02.000 align:start
A walk.

01:00:02.000 --> 01:00:05.280
Through a wood.
"""


@pytest.mark.parametrize(
    "body",
    [CAPTIONS, CAPTIONS.replace(b"\n", b"\r\n"), b"\xef\xbb\xbfWEBVTT", b"WEBVTT\n"],
    ids=["cues", "crlf", "mark", "no cue"],
)
def test_webvtt_is_taken(body: bytes) -> None:
    check_captions(body)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "It does not begin with WEBVTT."),
        (b"<html>WEBVTT</html>", "It does not begin with WEBVTT."),
        (b"WEBVTTX\n", "It does not begin with WEBVTT."),
        (b"WEBVTT\n\n\xff\xfe", "It is no text in UTF-8."),
        (CAPTIONS.replace(b"00:02.000", b"2 s"), "A cue lacks its times."),
        (CAPTIONS.replace(b"00:00.000", b"00:02.000"), "A cue is shown for no time."),
    ],
    ids=["empty", "html", "other", "bytes", "times", "no time"],
)
def test_other_texts_are_refused(body: bytes, fault: str) -> None:
    with pytest.raises(CaptionsInvalid) as refused:
        check_captions(body)

    assert str(refused.value) == fault
