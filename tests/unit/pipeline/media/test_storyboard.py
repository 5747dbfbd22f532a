import pytest

from pipeline.media.storyboard import Cue, StoryboardInvalid, parse_cues
from transcoder.encode.storyboard_sheet import plan_storyboard, storyboard_cues

FIRST = "00:00.000 --> 00:01.000\nsheet.jpg#xywh=0,0,160,90"


def test_what_our_transcoder_writes_is_read() -> None:
    board = plan_storyboard(250, 426, 240)

    read = parse_cues(storyboard_cues(board))

    assert [(cue.start_sec, cue.end_sec, cue.x, cue.y) for cue in read] == [
        (tile.start_sec, tile.end_sec, tile.x, tile.y) for tile in board.tiles()
    ]
    assert {(cue.uri, cue.width, cue.height) for cue in read} == {("storyboard.jpg", 160, 90)}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_names_notes_styles_settings_and_hours_are_webvtt_too(end: str) -> None:
    text = (
        "\ufeffWEBVTT a storyboard\n\nNOTE made by hand\nof two lines\n\nSTYLE\n::cue{}\n\n\n"
        "first\n01:00:01.500 -->\t1000:59:59.999 align:start\n"
        "https://v.example/a/s.jpg?t=1#xywh=1,2,3,4\n"
    )

    [cue] = parse_cues(text.replace("\n", end))

    assert cue == Cue(3601.5, 3603599.999, "https://v.example/a/s.jpg?t=1", 1, 2, 3, 4)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "WEBVTTX",
        f"\nWEBVTT\n\n{FIRST}",
        "WEBVTT\n",
        "WEBVTT\n\nNOTE nothing",
        f"WEBVTT\n\n{FIRST}\n\nonly a name",
        "WEBVTT\n\n00:00.000 --> 00:01.000",
        "WEBVTT\n\n00:00.000 --> 00:01.000\nWords that somebody says",
        "WEBVTT\n\n00:00.000 --> 00:01.000\nsheet.jpg",
        "WEBVTT\n\n00:00.000 --> 00:01.000\nsheet.jpg#xywh=percent:0,0,50,50",
        "WEBVTT\n\n00:00.000 --> 00:01.000\nsheet.jpg#xywh=-1,0,50,50",
        "WEBVTT\n\n00:00.000 --> 00:01.000\nsheet.jpg#xywh=0,0,0,50",
        "WEBVTT\n\n00:00.000 --> 00:01.000\n..\\sheet.jpg#xywh=0,0,5,5",
        "WEBVTT\n\n00:00.000 --> 00:01.000\nsh eet.jpg#xywh=0,0,5,5",
        f"WEBVTT\n\n{FIRST}\nsheet.jpg#xywh=0,0,160,90",
        "WEBVTT\n\n00:01.000 --> 00:01.000\nsheet.jpg#xywh=0,0,160,90",
        "WEBVTT\n\n00:00.000 --> 00:61.000\nsheet.jpg#xywh=0,0,160,90",
        "WEBVTT\n\n00:00.0 --> 00:01.0\nsheet.jpg#xywh=0,0,160,90",
        f"WEBVTT\n\n{FIRST}\n\n{FIRST}",
        "WEBVTT\n\n" + "x" * 1024 * 1024,
    ],
)
def test_what_is_no_storyboard_is_refused(text: str) -> None:
    with pytest.raises(StoryboardInvalid):
        parse_cues(text)


@pytest.mark.parametrize(("size", "within"), [((4, 6), True), ((3, 6), False), ((4, 5), False)])
def test_a_cue_lies_within_its_sheet_or_not(size: tuple[int, int], within: bool) -> None:
    assert Cue(0, 1, "", 1, 2, 3, 4).lies_within(*size) is within
