"""The second phase: a few videos through the real transcoder, which is killed at its work."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from random import Random
from uuid import UUID

import psutil
import psycopg
import requests

from cli.environment import make_token
from stack.home import CHECKOUT
from stack.processes import find_processes
from stack.supervisor import read_procfile
from tests.chaos.clients import Acknowledged, ClientLog
from tests.chaos.evidence import SentEntry
from tests.chaos.signals import kill
from tests.chaos.stage import WORKERS, Stage, wait_until_ready
from tests.laws.books import JobEntry

PROCESSES = ("transcoder", "transcoder-worker", "transcoder-beat")
OWNER = "owner-real"
CATCH_SEC = 60.0
"""How long to wait for an encode to strike at."""
HEAD_START_SEC = 0.3
"""An ffmpeg that has just been started has written nothing yet."""
TICK_SEC = 0.02

LEASE_SEC = 10.0
SWEEP_SEC = 5.0
ENCODE_SEC = 40.0
"""One encode of the clip on two busy cores, with room."""
SWEPT_SEC = 60.0 + 10 * SWEEP_SEC
"""The age at which a sweep removes the folder of a killed proof, and some sweeps."""
RECOVERY_SEC = LEASE_SEC + SWEEP_SEC + 2 * ENCODE_SEC + 45.0
"""After the last strike: a lapsed lease, the encode once more, the queue before it, the gate."""

SETTINGS: Mapping[str, str] = {
    "KHRONIKA_TRANSCODER_LEASE_SEC": str(LEASE_SEC),
    "KHRONIKA_TRANSCODER_STALL_SEC": "30",
    # An encode takes seconds of real work, and may have to be done again.
    "KHRONIKA_PROCESSING_DEADLINE_SEC": "240",
}

Strike = Callable[[Stage], None]


def begin(stage: Stage) -> None:
    """Put the real transcoder in the scripted provider's place."""
    stage.fleet.env |= {
        **SETTINGS,
        "KHRONIKA_ACCOUNTS": "selfhosted",
        "KHRONIKA_SELFHOSTED_URL": stage.transcoder_url,
    }
    lines = read_procfile(CHECKOUT / "Procfile")
    for name in ("web", *WORKERS):
        stage.fleet.kill(name, whole=True)
        stage.fleet.revive(name)
    for name in PROCESSES:
        stage.fleet.add(name, lines[name])
    for url in (stage.base_url, stage.transcoder_url):
        wait_until_ready(stage, url)


def register(stage: Stage, count: int, seed: int, log: ClientLog) -> None:
    """Register the videos; nothing is broken yet, so each is acknowledged at once."""
    rng = Random(f"{seed} real")
    headers = {"Authorization": f"Bearer {make_token(stage.environment, OWNER)}"}
    for _ in range(count):
        post_id = str(UUID(int=rng.getrandbits(128), version=4))
        source_url = f"{stage.provider_url}/out/real.mp4?post={post_id}"
        answer = requests.post(
            f"{stage.base_url}/api/video-assets/create",
            json={"post_id": post_id, "source_url": source_url},
            headers=headers,
            timeout=20,
        )
        answer.raise_for_status()
        log.acknowledged.append(Acknowledged(post_id, answer.json()["id"], OWNER))


def kill_ffmpeg(stage: Stage) -> None:
    kill(_encoder(stage))


def kill_child(stage: Stage) -> None:
    parent = _encoder(stage).parent()
    if parent is not None:
        kill(parent)


def kill_web(stage: Stage) -> None:
    stage.fleet.kill("transcoder", whole=True)
    stage.fleet.revive("transcoder")


def kill_parent(stage: Stage) -> None:
    _encoder(stage)
    stage.fleet.kill("transcoder-worker", whole=True)
    stage.fleet.revive("transcoder-worker")


STRIKES: Mapping[str, Strike] = {
    "kill -9 transcoder's ffmpeg": kill_ffmpeg,
    "kill -9 transcoder": kill_web,
    "kill -9 transcoder's worker child": kill_child,
    "kill -9 transcoder's whole worker": kill_parent,
}
"""In this order, once each; a full scratch disk would be one more."""


def _encoder(stage: Stage) -> psutil.Process:
    """An ffmpeg in the middle of its encode.

    Raises:
        TimeoutError: none came.
    """
    deadline = time.monotonic() + CATCH_SEC
    while time.monotonic() < deadline:
        stage.tend()
        for process in stage.fleet.children("transcoder-worker"):
            try:
                age = time.time() - process.create_time()
                if process.name().startswith("ffmpeg") and age > HEAD_START_SEC:
                    return process
            except psutil.Error:
                continue
        time.sleep(TICK_SEC)
    raise TimeoutError("no encode to strike at")


def strike_all(stage: Stage) -> tuple[Counter[str], Counter[str]]:
    """Make every strike; says which were made and which found nothing to strike."""
    made: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for name, strike in STRIKES.items():
        try:
            strike(stage)
        except TimeoutError as reason:
            missed[f"{name} ({reason})"] += 1
        else:
            made[name] += 1
    return made, missed


def books(connection: psycopg.Connection) -> tuple[list[JobEntry], list[SentEntry]]:
    """The transcoder's own rows, as a ledger. What it completed, it calls playable."""
    jobs = connection.execute(
        "SELECT id::text, status, created_at, finished_at FROM transcoder.jobs"
    ).fetchall()
    sent = connection.execute(
        "SELECT c.id::text, c.job_id::text, c.body, c.delivered_at FROM transcoder.callbacks c"
    ).fetchall()
    return (
        [
            JobEntry(
                id_,
                status,
                playable=status == "completed",
                given_up=False,
                accepted_at=created,
                finished_at=ended,
            )
            for id_, status, created, ended in jobs
        ],
        [_sent(*row) for row in sent],
    )


def _sent(event_id: str, job_id: str, body: bytes, delivered_at: object) -> SentEntry:
    """Tries are not kept there, only that one was taken: then it must be in the inbox."""
    type_, digest = str(json.loads(body)["type"]), sha256(body).hexdigest()
    answers = (202,) if delivered_at else (None,)
    return SentEntry(event_id, job_id, type_, "delivered", digest, answers, (None,))


def leftovers(stage: Stage) -> list[str]:
    """Return what is there although every job has ended: encoders, and folders of scratch.

    The sweep removes the folder of a proof that was killed, a minute after it was made.
    """
    deadline = time.monotonic() + SWEPT_SEC
    while (found := _leftovers(stage)) and time.monotonic() < deadline:
        time.sleep(1.0)
    return found


def _leftovers(stage: Stage) -> list[str]:
    scratch = stage.home.scratch
    encoders = find_processes(
        lambda p: (
            p.name().startswith("ffmpeg")
            and any(str(scratch) in word for word in (p.cwd(), *p.cmdline()))
        )
    )
    folders = [folder for folder in scratch.iterdir() if not folder.name.startswith(".")]
    return [
        *(f"{process.name()} {process.pid} still runs" for process in encoders),
        *(f"{folder.name} is left in scratch" for folder in folders),
    ]
