import io

import pytest

from stack.terminal import Terminal


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_line_about_the_wait_is_rewritten_and_gives_way_to_others() -> None:
    stream = Tty()
    terminal = Terminal(stream)
    terminal.report_wait("web", 1.0)
    terminal.report_wait("web", 2.0)
    terminal.announce("ready")
    terminal.announce("stopped")
    assert stream.getvalue() == (
        "khronika: waiting for web since 1 s"
        "\r\x1b[Kkhronika: waiting for web since 2 s"
        "\r\x1b[Kkhronika: ready\n"
        "khronika: stopped\n"
    )


def test_a_narrow_terminal_gets_a_line_that_can_be_rewritten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stream = Tty()
    Terminal(stream).report_wait("web", 1.0)
    assert stream.getvalue() == "khronika: waiting f"


def test_in_a_file_the_wait_is_told_at_growing_intervals() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    for second in range(1, 301):
        terminal.report_wait("web", float(second))
    told = [line.rpartition("since ")[2] for line in stream.getvalue().splitlines()]
    assert told == ["10 s", "20 s", "40 s", "80 s", "140 s", "200 s", "260 s"]


def test_in_a_file_each_wait_begins_anew() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    terminal.report_wait("Postgres", 15.0)
    terminal.report_wait("web", 3.0)
    terminal.report_wait("web", 10.0)
    assert stream.getvalue().splitlines() == [
        "khronika: waiting for Postgres since 15 s",
        "khronika: waiting for web since 10 s",
    ]


def test_a_failure_takes_the_place_of_the_wait(capsys: pytest.CaptureFixture[str]) -> None:
    stream = Tty()
    terminal = Terminal(stream)
    terminal.report_wait("web", 1.0)
    terminal.fail("web ended")
    assert stream.getvalue().endswith("\r\x1b[K")
    assert capsys.readouterr().err == "khronika: web ended\n"
