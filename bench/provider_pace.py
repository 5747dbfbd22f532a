"""The pace of submissions to a vendor that takes one a second.

`python -m bench.provider_pace` registers many videos at once with a whole stack, whose one account
is at a vendor that takes one submission and five questions a second and refuses the rest. The
vendor sends no callback, so each job is asked about until it has ended.
"""

import argparse
import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from bench.table import markdown_table, verdict
from cli.client import ApiClient
from cli.environment import make_token
from stack.home import CHECKOUT, Home
from stack.startup import Stack, running_stack
from stack.supervisor import read_procfile
from tests.chaos.media import make_media
from tests.scripted_provider import SECRET, TOKEN, Limit, ScriptedProvider, scripted_provider

SUBMISSIONS_PER_SEC = 1.0
QUESTIONS_PER_SEC = 5.0
MOST_REFUSED = 0.02
LEAST_OF_PACE = 0.95
WORK_SEC = 1.0
GIVE_UP_SEC = 900.0
DURATION_SEC = 2.0
"""Of the source and the outputs of the fault run."""


@dataclass(frozen=True)
class Pace:
    """What the vendor saw.

    Attributes:
        of_pace: Submissions in a second, as a part of the vendor's limit.
        refused: Refused calls, as a part of all.
    """

    videos: int
    completed: int
    of_pace: float
    refused: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the pace of submissions to a vendor.")
    parser.add_argument("--videos", type=int, default=100)
    videos = parser.parse_args().videos
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="khronika-bench-") as folder:
        Path(folder).chmod(0o711)
        media = Path(folder) / "media"
        make_media(media)
        with scripted_provider(media) as vendor:
            vendor.limit = Limit(SUBMISSIONS_PER_SEC)
            vendor.read_limit = Limit(QUESTIONS_PER_SEC)
            with stack_at(vendor, Path(folder)) as stack, finishing(vendor):
                pace = measure(stack, vendor, videos)
    print(pace_table(pace))


@contextmanager
def stack_at(vendor: ScriptedProvider, folder: Path) -> Iterator[Stack]:
    """Run the stack with one account, at this vendor."""
    environment = {
        **os.environ,
        "PORT": "",
        "KHRONIKA_ACCOUNTS": "paced:selfhosted",
        "KHRONIKA_PACED_URL": vendor.url,
        "KHRONIKA_PACED_TOKEN": TOKEN,
        "KHRONIKA_PACED_WEBHOOK_SECRETS": SECRET,
        "KHRONIKA_PACED_OUTPUT_HOSTS": "127.0.0.1",
        "KHRONIKA_PACED_WRITES_PER_SEC": str(SUBMISSIONS_PER_SEC),
        "KHRONIKA_PACED_READS_PER_SEC": str(QUESTIONS_PER_SEC),
    }
    with running_stack(
        Home(folder / "home"),
        environment,
        commands=read_procfile(CHECKOUT / "Procfile"),
        echo=_quiet,
        announce=_quiet,
    ) as stack:
        yield stack


def _quiet(*_: object) -> None:
    pass


@contextmanager
def finishing(vendor: ScriptedProvider) -> Iterator[None]:
    """Let each job of the vendor succeed a while after it was taken."""
    done = threading.Event()
    thread = threading.Thread(target=_finish, args=(vendor, done))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _finish(vendor: ScriptedProvider, done: threading.Event) -> None:
    while not done.wait(WORK_SEC):
        for job_id in [id_ for id_, job in list(vendor.jobs.items()) if job["status"] == "queued"]:
            vendor.finish(job_id, duration_sec=DURATION_SEC, width=160, height=90)


def measure(stack: Stack, vendor: ScriptedProvider, videos: int) -> Pace:
    """Register the videos at once, and wait until all have ended."""
    posts = [uuid4() for _ in range(videos)]
    with ApiClient(stack.base_url, make_token(stack.environment, "bench")) as client:
        for post_id in posts:
            client.create(post_id, source_url=f"{vendor.url}/out/source.mp4")
        states = _await_ends(client, posts)
    assert vendor.limit is not None
    assert vendor.read_limit is not None
    taken = vendor.limit.admitted_at
    refused = vendor.limit.refused + vendor.read_limit.refused
    answered = len(taken) + len(vendor.read_limit.admitted_at)
    return Pace(
        videos=videos,
        completed=states.count("completed"),
        of_pace=(len(taken) - 1) / (taken[-1] - taken[0]) / SUBMISSIONS_PER_SEC,
        refused=refused / (refused + answered),
    )


def _await_ends(client: ApiClient, posts: list[UUID]) -> list[str]:
    deadline = time.monotonic() + GIVE_UP_SEC
    states: dict[UUID, str] = {}
    while len(states) < len(posts) and time.monotonic() < deadline:
        time.sleep(1)
        for post_id in posts:
            if post_id not in states:
                status = client.asset(post_id)["status"]
                if status in {"completed", "failed"}:
                    states[post_id] = status
    return list(states.values())


def pace_table(pace: Pace) -> str:
    """Return the table of docs/benchmarks.md."""
    rows = [
        ["videos completed", f"{pace.completed} of {pace.videos}", "all",
         verdict(met=pace.completed == pace.videos)],
        ["submissions ÷ the vendor's limit", f"{pace.of_pace:.2f}", f"≥ {LEAST_OF_PACE}",
         verdict(met=pace.of_pace >= LEAST_OF_PACE)],
        ["calls refused", f"{pace.refused:.1%}", f"≤ {MOST_REFUSED:.0%}",
         verdict(met=pace.refused <= MOST_REFUSED)],
    ]  # fmt: skip
    return markdown_table(["figure", "measured", "target", ""], rows)


if __name__ == "__main__":
    main()
