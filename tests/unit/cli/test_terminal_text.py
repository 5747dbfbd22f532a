from datetime import UTC, datetime
from typing import Any

import pytest
from rich.text import Text

from cli.terminal_text import event_line, headline, percent, summary

BEGAN = datetime(2030, 1, 1, tzinfo=UTC)


def asset(**changes: Any) -> dict[str, Any]:
    document = dict.fromkeys(
        (
            "hold_reason",
            "hold_message",
            "progress",
            "next_attempt_at",
            "provider_job_id",
            "error_code",
            "error_message",
            "manifest_url",
            "fallback_url",
            "poster_url",
            "duration_sec",
            "width",
            "height",
        )
    )
    fixed = {"id": "a", "post_id": "p", "status": "queued", "attempt": 0, "playable": False}
    return {**document, **fixed, "provider": "selfhosted", **changes}


def event(**changes: Any) -> dict[str, Any]:
    return {
        "seq": 4,
        "type": "submitted",
        "from_status": None,
        "to_status": None,
        "actor": "worker",
        "attempt": None,
        "detail": {},
        "created_at": "2030-01-01T00:00:01.500000Z",
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "queued"),
        ({"hold_reason": "awaiting_enqueue"}, "queued, held: awaiting_enqueue"),
        ({"status": "processing", "attempt": 1}, "processing"),
        ({"status": "processing", "attempt": 2, "progress": 41.6}, "processing 42 % (attempt 2)"),
        ({"status": "retrying", "attempt": 1}, "retrying, again at once"),
    ],
)
def test_the_headline_says_where_it_is(changes: dict[str, Any], words: str) -> None:
    assert Text.from_markup(headline(asset(**changes))).plain == words


def test_an_event_says_when_what_and_by_whom() -> None:
    line = event_line(event(), BEGAN).plain

    assert line.split() == ["+", "1.50", "s", "4", "submitted", "worker"]


def test_an_event_says_which_edge_was_taken_on_which_attempt_and_why() -> None:
    took = event(
        from_status="processing",
        to_status="failed",
        attempt=3,
        detail={"code": "source_corrupt", "nested": {"left": "out"}},
    )

    line = event_line(took, BEGAN).plain

    assert "processing → failed" in line
    assert "attempt 3" in line
    assert "code=source_corrupt" in line
    assert "nested" not in line


def test_an_event_names_the_codes_of_its_rows() -> None:
    rows = [{"code": "sound_downmixed", "message": "m"}, {"code": "frames_lost", "message": "m"}]
    line = event_line(event(type="warned", detail={"warnings": rows, "other": [1]}), BEGAN).plain
    assert line.endswith("warnings=sound_downmixed,frames_lost")


def test_what_a_stranger_wrote_cannot_steer_the_terminal() -> None:
    hostile = event(detail={"title": "[red]\x1b[2J\x07 gone"})

    line = event_line(hostile, BEGAN)

    assert "[red]" in line.plain
    assert "\x1b" not in line.plain
    assert "\x07" not in line.plain
    assert "\x1b" not in summary(asset(error_code="x", error_message="\x1b[2J")).plain


def test_a_completed_video_is_at_100_percent_whatever_was_last_reported() -> None:
    assert percent(asset(status="completed", progress=87.0)) == 100
    assert percent(asset(status="processing", progress=87.0)) == 87
    assert percent(asset()) == 0


def test_the_summary_leaves_out_what_is_not_known() -> None:
    lines = summary(asset(status="failed", error_code="expired", error_message="Too late.")).plain

    assert "failure   Too late. (expired)" in lines
    assert "manifest" not in lines


def test_the_summary_says_what_a_held_video_waits_for_and_until_when() -> None:
    held = {"hold_reason": "spend_guard", "hold_message": "The budget is used up."}

    assert "waits     The budget is used up." in summary(asset(**held)).plain
    again = summary(asset(**held, next_attempt_at="2030-01-01T10:00:00+00:00")).plain
    assert "The budget is used up. The next check is at" in again
