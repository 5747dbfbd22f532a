"""The Procfile's processes on one machine, whose disks and programs a test takes away."""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psutil
import psycopg
import pytest
import redis
import requests
from psycopg.rows import dict_row

from cli.client import ApiClient
from cli.environment import make_token
from pipeline.storage.prepare import prepare_storage
from stack.home import CHECKOUT, Home
from stack.ports import free_port
from stack.process_environment import Ports, build_environment
from stack.process_variables import is_ours
from stack.servers import Servers
from stack.supervisor import read_procfile
from tests.acceptance.sources import Source, Sources, open_sources
from tests.chaos.fleet import Fleet
from tests.conditions import wait_until
from tests.integration.stack.procfile_runs import ADDRESSES, LINES, TRANSCODER, WEB
from tests.shared_run import Databases, broker_databases

OWNER = "ana"
FILLER = ".filler"
PROCESSES = (
    *("web", "submitter", "worker", "beat"),
    *("transcoder", "transcoder-worker", "transcoder-beat"),
)
QUICK: Mapping[str, str] = {
    "KHRONIKA_SWEEP_EVERY_SEC": "1",
    "KHRONIKA_WAKE_GRACE_SEC": "1",
    "KHRONIKA_POLL_LEAST_SEC": "1",
    "KHRONIKA_BACKOFF_BASE_SEC": "0.5",
    "KHRONIKA_BACKOFF_CAP_SEC": "2",
    "KHRONIKA_BREAKER_OPEN_SEC": "1",
    "KHRONIKA_BREAKER_CAP_SEC": "2",
    "KHRONIKA_SUBMIT_PROCESSES": "2",
    "KHRONIKA_MAX_ATTEMPTS": "2",
    "KHRONIKA_TRANSCODER_LEASE_SEC": "5",
    "KHRONIKA_TRANSCODER_CONCURRENCY": "1",
    "KHRONIKA_TRANSCODER_SOURCE_MIN_BPS": "0",
}
"""Waits of seconds, and a budget that two failures use up."""


@dataclass(frozen=True)
class OutageStack:
    """The processes, and the rows behind them.

    Attributes:
        environment: The settings of every process.
        fleet: The processes by their names in the Procfile.
        sources: A server of videos.
        superuser_url: A login to the database that no policy binds.
    """

    home: Home
    environment: Mapping[str, str]
    fleet: Fleet
    sources: Sources
    superuser_url: str

    @property
    def base_url(self) -> str:
        """The API."""
        return f"http://{self.environment[WEB]}"

    @contextmanager
    def client(self) -> Iterator[ApiClient]:
        """The API as a program of the owner sees it."""
        with ApiClient(self.base_url, make_token(self.environment, OWNER)) as client:
            yield client

    def register(self, clip: Path) -> UUID:
        """Register a video that the server of sources has; return the id of its asset."""
        return self.register_source(self.sources.offer(clip))

    def register_source(self, source: Source) -> UUID:
        """Register a video by its source; return the id of its asset."""
        with self.client() as client:
            return UUID(client.create(uuid4(), source_url=source.url)["id"])

    def upload(self, clip: Path) -> UUID:
        """Upload a file and register it; return the id of its asset."""
        post_id = uuid4()
        with self.client() as client:
            return UUID(client.create(post_id, upload_id=client.upload(post_id, clip))["id"])

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Read rows past every policy."""
        with psycopg.connect(self.superuser_url, row_factory=dict_row) as connection:
            return connection.execute(query, values).fetchall()

    def asset(self, asset_id: UUID) -> dict[str, Any]:
        """Read the row of an asset."""
        return self.rows("SELECT * FROM video_assets WHERE id = %(id)s", id=asset_id)[0]

    def jobs(self, asset_id: UUID) -> list[dict[str, Any]]:
        """Read the transcoder's jobs of an asset, oldest first."""
        return self.rows(
            "SELECT job.* FROM transcoder.jobs job JOIN provider_attempts attempt"
            " ON attempt.id = job.id WHERE attempt.asset_id = %(id)s ORDER BY job.created_at",
            id=asset_id,
        )

    def event_types(self, asset_id: UUID) -> list[str]:
        """Read the chronicle of an asset."""
        query = "SELECT type FROM video_processing_events WHERE asset_id = %(id)s ORDER BY seq"
        return [row["type"] for row in self.rows(query, id=asset_id)]

    def await_job(self, asset_id: UUID, **expected: str) -> None:
        """Wait until the last job of an asset has these values."""
        self._await(lambda: self._last_job(asset_id).items() >= expected.items(), asset_id)

    def await_job_not(self, asset_id: UUID, **unexpected: str) -> None:
        """Wait until the last job of an asset no longer has these values."""
        self._await(lambda: not self._last_job(asset_id).items() >= unexpected.items(), asset_id)

    def _last_job(self, asset_id: UUID) -> dict[str, Any]:
        jobs = self.jobs(asset_id)
        return jobs[-1] if jobs else {}

    def attempts(self, asset_id: UUID) -> list[dict[str, Any]]:
        """Read the attempts of an asset, oldest first."""
        query = "SELECT * FROM provider_attempts WHERE asset_id = %(id)s ORDER BY number"
        return self.rows(query, id=asset_id)

    def await_hold(self, asset_id: UUID, reason: str) -> dict[str, Any]:
        """Wait until an asset is held for a reason; return its row."""
        self._await(lambda: self.asset(asset_id)["hold_reason"] == reason, asset_id)
        return self.asset(asset_id)

    def await_completed(self, asset_id: UUID) -> dict[str, Any]:
        """Wait until an asset has ended, and require that nothing was charged to it."""
        ended = ("completed", "failed")
        self._await(lambda: self.asset(asset_id)["status"] in ended, asset_id)
        row = self.asset(asset_id)
        assert (row["status"], row["failures"]) == ("completed", 0), self.story(asset_id)
        return row

    def await_failed(self, asset_id: UUID, code: str) -> dict[str, Any]:
        """Wait until an asset has failed, and require the code."""
        self._await(lambda: self.asset(asset_id)["status"] in ("completed", "failed"), asset_id)
        row = self.asset(asset_id)
        assert (row["status"], row["error_code"]) == ("failed", code), self.story(asset_id)
        return row

    def _await(self, met: Any, asset_id: UUID) -> None:
        try:
            wait_until(met, patience_sec=90)
        except AssertionError:
            raise AssertionError(self.story(asset_id)) from None

    def story(self, asset_id: UUID) -> str:
        """Return all that is known of an asset, for the words of a failure."""
        row = self.asset(asset_id)
        known = {name: row[name] for name in ("status", "hold_reason", "failures", "error_code")}
        jobs = [(job["status"], job["claims"], job["error"]) for job in self.jobs(asset_id)]
        return f"{known} {self.event_types(asset_id)} {jobs}"

    def metric(self, name: str) -> float:
        """Read one number of the metrics, which are some seconds old."""
        found = requests.get(f"{self.base_url}/metrics", timeout=30).text
        [line] = [line for line in found.splitlines() if line.startswith(f"{name} ")]
        return float(line.rpartition(" ")[2])

    def write(self, statement: str, **values: Any) -> None:
        """Change rows past every policy."""
        with psycopg.connect(self.superuser_url) as connection:
            connection.execute(statement, values)

    def add_machine(self, name: str, **variables: str) -> None:
        """Start one more process that encodes, as on a machine of its own."""
        own = " ".join(f"{key}={shlex.quote(value)}" for key, value in variables.items())
        line = read_procfile(CHECKOUT / "Procfile")["transcoder-worker"]
        self.fleet.add(name, f"env {own} {line} --hostname {name}@%h")
        wait_until(lambda: " ready." in self.log(name), self.home.logs / f"{name}.log")

    def pause(self, name: str) -> None:
        """Stop a process and its children without ending them."""
        for process in self._family(name):
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def resume(self, name: str) -> None:
        """Let a paused process go on."""
        for process in self._family(name):
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _family(self, name: str) -> list[psutil.Process]:
        process = self.fleet.process(name)
        assert process is not None
        return [process, *self.fleet.children(name)]

    def log(self, name: str) -> str:
        """Read the log of a process."""
        return (self.home.logs / f"{name}.log").read_text(errors="replace")

    def has_started(self, name: str) -> bool:
        """Return True once a process serves; fail if it has ended."""
        assert self.fleet.members[name].is_up(), self.log(name)[-4000:]
        if name in LINES:
            return LINES[name] in self.log(name)
        with suppress(requests.RequestException):
            return requests.get(ADDRESSES[name](self.environment), timeout=30).ok
        return False


@dataclass(frozen=True)
class OwnServers:
    """A database and a broker of one module's own."""

    servers: Servers
    superuser_url: str


@pytest.fixture(scope="module")
def own_servers(
    servers: Servers, databases: Databases, template: str, pytestconfig: pytest.Config
) -> Iterator[OwnServers]:
    """Lend a module its servers."""
    broker_url = servers.broker_url
    if servers.broker:
        broker_url = servers.broker.url(broker_databases(pytestconfig)[0])
    with closing(redis.Redis.from_url(broker_url)) as client:
        client.flushdb()
    name = f"khronika_outages_{os.getpid()}"
    with databases.lent(name, template=template) as url:
        yield OwnServers(Servers(url, broker_url, None, None), databases.admin_url_of(name))


@contextmanager
def outage_stack(
    folder: Path,
    own: OwnServers,
    credentials: Mapping[str, str],
    settings: Mapping[str, str],
    *,
    processes: Sequence[str] = PROCESSES,
) -> Iterator[OutageStack]:
    """Run the processes for the length of the block.

    Args:
        folder: Of their state and their logs.
        own: An empty migrated database, and a broker.
        settings: Added to their environment.
        processes: The names of those that start.
    """
    home = Home(folder)
    home.make()
    foreign = {name: value for name, value in os.environ.items() if not is_ours(name)}
    ports = Ports(free_port(), free_port(), free_port())
    built = build_environment(home, {**foreign, **settings}, own.servers, credentials, ports)
    environment = {
        **built,
        **QUICK,
        WEB: f"127.0.0.1:{ports.web}",
        TRANSCODER: f"127.0.0.1:{ports.transcoder}",
        **settings,
    }
    prepare_storage(environment["STORAGE_URL"])
    lines = read_procfile(CHECKOUT / "Procfile")
    with ExitStack() as exits:
        fleet = Fleet(home, environment, ())
        exits.callback(fleet.stop)
        sources = exits.enter_context(open_sources())
        stack = OutageStack(home, environment, fleet, sources, own.superuser_url)
        for name in processes:
            fleet.add(name, lines[name])
        for name in processes:
            wait_until(partial(stack.has_started, name), home.logs / f"{name}.log")
        yield stack


@dataclass
class Disk:
    """A small file system of its own at a folder, which root can take away.

    Attributes:
        folder: The place of the mount.
    """

    folder: Path
    _away: bool = field(default=False)

    def take_away(self) -> None:
        """Put an empty folder in its place, as when the disk is not mounted."""
        mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", str(self.folder))
        self._away = True

    def bring_back(self) -> None:
        """Mount it again."""
        if self._away:
            unmount(self.folder)
            self._away = False

    def make_read_only(self) -> None:
        """Refuse every write."""
        self.remount("ro")

    @contextmanager
    def mended_afterwards(self) -> Iterator[None]:
        """Mount it as before, with room, at the end of the block."""
        try:
            yield
        finally:
            self.bring_back()
            self.remount("rw,nr_inodes=100000")
            (self.folder / FILLER).unlink(missing_ok=True)

    def remount(self, options: str) -> None:
        """Change its options, such as ``ro``."""
        mount("-o", f"remount,{options}", str(self.folder))

    def use_all_files(self) -> None:
        """Leave no free inode."""
        found = os.statvfs(self.folder)
        self.remount(f"nr_inodes={found.f_files - found.f_ffree}")

    def fill(self) -> None:
        """Use all of its space."""
        with (self.folder / FILLER).open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))


@contextmanager
def small_disk(folder: Path, options: str = "size=64m") -> Iterator[Disk]:
    """Mount a file system in memory at a folder for the length of the block."""
    folder.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    disk = Disk(folder)
    try:
        yield disk
    finally:
        disk.bring_back()
        unmount(folder)


def mount(*arguments: str) -> None:
    """Run mount(8)."""
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def unmount(folder: Path) -> None:
    """Detach a file system, also one in use."""
    subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def can_mount() -> bool:
    """Return True if this machine lets us mount."""
    if os.geteuid() != 0:
        return False
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False
    )
    return tried.returncode == 0


def storages(url: str) -> dict[str, str]:
    """Return the settings that name a storage for every process."""
    return {"STORAGE_URL": url, "KHRONIKA_TRANSCODER_STORAGES": json.dumps({"default": url})}
