"""The time from created to completed, divided into ffmpeg's and the rest.

`python -m bench.completion_time` sends the sample clip through a whole stack several times. It
looks for ffmpeg's processes every 20 ms, so that the rest is measured and not estimated. The stack
runs ffmpeg by a link of this benchmark, which tells its processes from those of other stacks. A
wrapper that logs each run would not work: a confined program must not start another process.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from uuid import UUID, uuid4

import psutil

from bench.table import markdown_table, spread, verdict
from cli.api_requests import Document
from cli.client import ApiClient
from cli.environment import make_token
from pipeline.media.tools import locate_tools
from stack.demo import CLIP
from stack.home import CHECKOUT, Home
from stack.startup import Stack, running_stack
from stack.supervisor import read_procfile

OTHER_THAN_FFMPEG_SEC = 3.0
GIVE_UP_SEC = 120.0

SAMPLE_SEC = 0.02
ASK_SEC = 0.1


@dataclass(frozen=True)
class CompletionTime:
    """The seconds from created to completed of one clip, and the part in which ffmpeg ran."""

    total_sec: float
    ffmpeg_sec: float

    @property
    def rest_sec(self) -> float:
        """The seconds in which ffmpeg did not run."""
        return self.total_sec - self.ffmpeg_sec


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the time from created to completed.")
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="khronika-bench-") as folder:
        Path(folder).chmod(0o711)
        ffmpeg = Path(folder) / "ffmpeg"
        ffmpeg.symlink_to(locate_tools(os.environ).ffmpeg)
        with stack_in(Path(folder), ffmpeg) as stack:
            times = [measure(stack, ffmpeg) for _ in range(runs + 1)][1:]  # the first one warms up
    print(time_table(times))


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


def measure(stack: Stack, ffmpeg: Path) -> CompletionTime:
    post_id = uuid4()
    with ApiClient(stack.base_url, make_token(stack.environment, "bench")) as client:
        upload_id = client.upload(post_id, CLIP)
        client.create(post_id, upload_id=upload_id)
        asset, seen_at = await_completion(client, post_id, ffmpeg)
    began, ended = timestamp(asset["created_at"]), timestamp(asset["completed_at"])
    return CompletionTime(ended - began, running_seconds(seen_at, began, ended))


def await_completion(
    client: ApiClient, post_id: UUID, ffmpeg: Path
) -> tuple[Document, Sequence[tuple[float, bool]]]:
    """Wait for the asset; return it, and the instants at which ffmpeg was looked for and found."""
    looks = []
    started = asked = time.time()
    while time.time() - started < GIVE_UP_SEC:
        looks.append((time.time(), is_running(ffmpeg)))
        if time.time() - asked > ASK_SEC:
            asked, asset = time.time(), client.asset(post_id)
            if asset["status"] == "completed":
                return asset, looks
            assert asset["status"] != "failed", asset
        time.sleep(SAMPLE_SEC)
    raise TimeoutError(f"the clip was not completed within {GIVE_UP_SEC:.0f} s")


def is_running(program: Path) -> bool:
    """Tell if a process was started by this path."""
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == program.name:
            with suppress(psutil.Error):
                if process.cmdline()[:1] == [str(program)]:
                    return True
    return False


def running_seconds(looks: Sequence[tuple[float, bool]], began: float, ended: float) -> float:
    """Add up the time between two instants that follows a look which found ffmpeg."""
    return sum(
        max(0.0, min(after, ended) - max(at, began))
        for (at, found), (after, _) in pairwise(looks)
        if found
    )


def timestamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def time_table(times: list[CompletionTime]) -> str:
    rest = [each.rest_sec for each in times]
    met = statistics.median(rest) < OTHER_THAN_FFMPEG_SEC
    target = f"< {OTHER_THAN_FFMPEG_SEC:.0f} s: {verdict(met=met)}"
    rows = [
        ("created to completed", *spread([each.total_sec for each in times]), ""),
        ("in ffmpeg", *spread([each.ffmpeg_sec for each in times]), ""),
        ("everything else", *spread(rest), target),
    ]
    return markdown_table(("the sample clip", "s, median", "least", "most", "target"), rows)


if __name__ == "__main__":
    main()
