"""The demo, as a visitor sees it: real processes, a real video, real outputs."""

import re
import subprocess
import sys
from pathlib import Path

import requests

from stack.home import CHECKOUT, Home
from tests.integration.stack.stack_runs import clean_environment, gone, launch
from tests.running import RunningStack

LAST_LINE = re.compile(
    r"demo: completed asset=[0-9a-f-]{36} seconds=\d+\.\d "
    r"manifest=(?P<manifest>\S+) fallback=(?P<fallback>\S+) poster=(?P<poster>\S+)"
)


def demo(home: Home, env: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stack", "demo", *options],
        cwd=CHECKOUT,
        env=clean_environment(home.root) | env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_demo_uses_the_stack_that_runs_and_leaves_it_running(
    running_stack: RunningStack,
) -> None:
    told = demo(running_stack.home, {})
    assert told.returncode == 0, told.stdout + told.stderr
    summary = LAST_LINE.fullmatch(told.stdout.splitlines()[-1])
    assert summary, told.stdout
    for event in ("created", "claimed", "submitted", "completed"):
        assert re.search(rf"^\+ *\d+\.\d\d s +\d+  {event} ", told.stdout, re.MULTILINE)
    for url in summary.groupdict().values():
        assert requests.get(url, timeout=60).ok


def test_a_video_that_is_none_ends_the_demo_with_its_reason(
    running_stack: RunningStack, tmp_path: Path
) -> None:
    page = tmp_path / "clip.mp4"
    page.write_text("<html>not a video</html>")
    told = demo(running_stack.home, {}, "--video", str(page))
    assert told.returncode == 1
    assert "unsupported_media" in told.stderr


def test_the_demo_starts_a_stack_of_its_own_and_stops_it(place: Path) -> None:
    run = launch([sys.executable, "-m", "stack", "demo"], place, {"PORT": "0"})
    try:
        run.wait_until_ready()
        family = run.family()
        assert {"gunicorn", "celery"} <= run.programs()
        assert run.ended() == 0, run.output
    finally:
        run.end()
    assert LAST_LINE.fullmatch(run.lines[-1])
    assert gone(family)
