"""From created to completed: how much of it is ffmpeg, and how much is everything else.

`python -m bench.path` sends the sample clip through a whole stack several times. ffmpeg and ffprobe
are run through a wrapper that writes down when each began and ended, so the rest is measured and
not estimated.
"""

import argparse
import os
import shlex
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from cli.client import ApiClient
from cli.environment import make_token
from pipeline.media.tools import locate_tools
from stack.home import CHECKOUT, Home
from stack.startup import Stack, running_stack
from stack.supervisor import read_procfile

SAMPLE = CHECKOUT / "tests" / "media" / "big-buck-bunny-720p-5s.mp4"
OTHER_THAN_FFMPEG_SEC = 3.0
GIVE_UP_SEC = 120.0

WRAPPER = """#!/bin/sh
began=$(date +%s.%N)
{tool} "$@"
code=$?
echo "$began $(date +%s.%N)" >> {log}
exit $code
"""


@dataclass(frozen=True)
class Run:
    """One clip's way: all of it, and the part in which ffmpeg ran, in seconds."""

    total_sec: float
    ffmpeg_sec: float

    @property
    def rest_sec(self) -> float:
        """Everything that is not ffmpeg."""
        return self.total_sec - self.ffmpeg_sec


def main() -> None:
    parser = argparse.ArgumentParser(description="The time from created to completed.")
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="khronika-bench-") as folder:
        Path(folder).chmod(0o711)
        log = Path(folder) / "ffmpeg.log"
        with stack_in(Path(folder), wrapped_tool(Path(folder), log)) as stack:
            measured = [send(stack, log) for _ in range(runs + 1)][1:]  # the first one warms up
    print(table(measured))


def wrapped_tool(folder: Path, log: Path) -> Path:
    wrapper = folder / "ffmpeg"
    tool = shlex.quote(locate_tools(os.environ).ffmpeg)
    wrapper.write_text(WRAPPER.format(tool=tool, log=shlex.quote(str(log))))
    wrapper.chmod(0o755)
    log.touch()
    return wrapper


@contextmanager
def stack_in(folder: Path, ffmpeg: Path) -> Iterator[Stack]:
    environment = {**os.environ, "FFMPEG": str(ffmpeg), "PORT": ""}
    quiet: Callable[..., None] = lambda *_: None  # noqa: E731
    with running_stack(
        Home(folder / "home"),
        environment,
        commands=read_procfile(CHECKOUT / "Procfile"),
        echo=quiet,
        announce=quiet,
    ) as stack:
        yield stack


def send(stack: Stack, log: Path) -> Run:
    post_id = uuid4()
    with ApiClient(stack.base_url, make_token(stack.environment, "bench")) as client:
        upload_id = client.upload(post_id, SAMPLE)
        client.create(post_id, upload_id=upload_id)
        asset = wait(client, post_id)
    began, ended = instant(asset["created_at"]), instant(asset["completed_at"])
    return Run(ended - began, busy(log, began, ended))


def wait(client: ApiClient, post_id: Any) -> Mapping[str, Any]:
    deadline = time.monotonic() + GIVE_UP_SEC
    while time.monotonic() < deadline:
        asset = client.asset(post_id)
        if asset["status"] == "completed":
            return asset
        assert asset["status"] != "failed", asset
        time.sleep(0.1)
    raise TimeoutError("the clip did not come through")


def busy(log: Path, began: float, ended: float) -> float:
    """The seconds between the two instants in which at least one ffmpeg ran."""
    spans = sorted(tuple(map(float, line.split())) for line in log.read_text().splitlines())
    total, reached = 0.0, began
    for start, end in spans:
        start, end = max(start, reached), min(end, ended)  # noqa: PLW2901
        if end > start:
            total += end - start
            reached = end
    return total


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def table(runs: list[Run]) -> str:
    rest = statistics.median(run.rest_sec for run in runs)
    verdict = "met" if rest < OTHER_THAN_FFMPEG_SEC else "MISSED"
    rows = [
        ("created to completed", [run.total_sec for run in runs], ""),
        ("in ffmpeg", [run.ffmpeg_sec for run in runs], ""),
        (
            "everything else",
            [run.rest_sec for run in runs],
            f"< {OTHER_THAN_FFMPEG_SEC:.0f} s: {verdict}",
        ),
    ]
    lines = ["| the sample clip | s, median | least | most | target |", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} "
        f"| {target} |"
        for name, values, target in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
