"""Fixtures: the transcoder's HTTP app, real Celery workers, a source server, a receiver."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient

from pipeline.media.tools import Tools, locate_tools
from pipeline.runtime.database import session_of
from pipeline.storage.prepare import prepare_storage
from tests.integration.transcoder.made_encodes import Make, maker
from transcoder.app import create_app
from transcoder.models import Job, OwedCallback
from transcoder.services import TranscoderServices, make_services
from transcoder.settings import load_settings

TOKEN = "a-token-of-some-length"
SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"


@pytest.fixture(scope="session")
def tools() -> Tools:
    return locate_tools(os.environ)


@pytest.fixture(scope="module")
def made(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Encode a clip, once for all tests of the module; do not modify the result."""
    return maker(tools, tmp_path_factory.mktemp)


def eventually(what: str, check: Callable[[], Any], timeout_sec: float = 180) -> Any:
    """Poll until `check` returns a true value; fail at the deadline."""
    deadline = time.monotonic() + timeout_sec
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {timeout_sec} s: {what}")


@dataclass(frozen=True)
class Received:
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


@dataclass
class Receiver:
    """Server that answers terminal callbacks from a script, then with 200."""

    received: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    url: str = ""

    def terminal(self) -> list[Received]:
        return [r for r in self.received if r.event["type"] != "job.progress"]


class _ReceiverHandler(BaseHTTPRequestHandler):
    def __init__(self, receiver: Receiver, *args: Any) -> None:
        self._receiver = receiver
        super().__init__(*args)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        received = Received(dict(self.headers.items()), body)
        status = 200
        if received.event["type"] != "job.progress" and self._receiver.answers:
            status = self._receiver.answers.pop(0)
        self._receiver.received.append(received)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


class _QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serving(handler: Any) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    with serving(partial(_ReceiverHandler, receiver)) as url:
        receiver.url = url
        yield receiver


@pytest.fixture
def source_url(clip_folder: Path) -> Iterator[str]:
    with serving(partial(_QuietFiles, directory=str(clip_folder))) as url:
        yield url


@pytest.fixture
def environment(
    role_urls: Mapping[str, str],
    broker_url: str,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Set the environment variables of this test's transcoder."""
    variables = {
        "BROKER_URL": broker_url,
        "KHRONIKA_TRANSCODER_DATABASE_URL": role_urls["transcoder"],
        "KHRONIKA_TRANSCODER_TOKEN": TOKEN,
        "KHRONIKA_TRANSCODER_CALLBACK_URL": receiver.url,
        "KHRONIKA_TRANSCODER_CALLBACK_SECRETS": SECRET,
        "KHRONIKA_TRANSCODER_STORAGES": json.dumps({"default": (tmp_path / "videos").as_uri()}),
        "KHRONIKA_TRANSCODER_SCRATCH": str(tmp_path / "scratch"),
        "KHRONIKA_SOURCE_ALLOW": "http://127.0.0.1:*",
        "KHRONIKA_TRANSCODER_LEASE_SEC": "4",
        "KHRONIKA_TRANSCODER_CONCURRENCY": "1",
    }
    prepare_storage((tmp_path / "videos").as_uri())
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def services(environment: None) -> Iterator[TranscoderServices]:
    services = make_services(load_settings())
    yield services
    services.engine.dispose()
    services.callback_sender.close()
    services.producer.close()


@dataclass(frozen=True)
class Client:
    """Client of the HTTP app."""

    http: FlaskClient
    source_url: str

    def request(self, clip: Path, job_id: UUID, **more: Any) -> dict[str, Any]:
        output = {
            "storage": "default",
            "prefix": f"processed/a/{job_id}",
            "poster_prefix": f"posters/a/{job_id}",
        }
        return {"source_url": f"{self.source_url}/{clip.name}", "output": output, **more}

    def put(self, body: Any, job_id: UUID) -> Any:
        return self.http.put(f"/v1/jobs/{job_id}", json=body, headers=self.headers)

    def get(self, job_id: UUID) -> dict[str, Any]:
        answer = self.http.get(f"/v1/jobs/{job_id}", headers=self.headers)
        job: dict[str, Any] = answer.get_json()
        return job

    def delete(self, job_id: UUID) -> Any:
        return self.http.delete(f"/v1/jobs/{job_id}", headers=self.headers)

    def submit(self, clip: Path, **more: Any) -> UUID:
        job_id = uuid4()
        answer = self.put(self.request(clip, job_id, **more), job_id)
        assert answer.status_code == 201, answer.get_data()
        return job_id

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def client(services: TranscoderServices, source_url: str) -> Client:
    return Client(create_app(services).test_client(), source_url)


@pytest.fixture
def worker(environment: None, tmp_path: Path) -> Iterator["Worker"]:
    with running_worker(tmp_path / "worker") as worker:
        yield worker


@dataclass(frozen=True)
class Worker:
    """Celery worker with its beat, in a process group of its own."""

    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def running_worker(folder: Path) -> Iterator[Worker]:
    folder.mkdir()
    command = [sys.executable, "-m", "celery", "-A", "transcoder.tasks", "worker", "--beat"]
    command += ["--schedule", str(folder / "beat"), "--loglevel", "INFO"]
    command += ["--queues", "transcode,transcoder-sweep", "--hostname", f"{folder.name}@%h"]
    command += ["--without-gossip", "--without-mingle"]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield Worker(process, log)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ffmpegs_under(folder: Path) -> list[int]:
    """List the process ids of ffmpegs that work in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:  # it ended during the search
            continue
        if str(folder).encode() in command and b"ffmpeg" in command.split(b"\0")[0]:
            found.append(int(entry.name))
    return found


def parent_of(process_id: int) -> int:
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("PPid:")[2].split()[0])


def row(services: TranscoderServices, job_id: UUID) -> Job:
    with session_of(services.engine) as session:
        job = session.get(Job, job_id)
        assert job is not None
        return job


def callbacks_of(services: TranscoderServices, job_id: UUID) -> list[OwedCallback]:
    with session_of(services.engine) as session:
        return list(session.query(OwedCallback).filter_by(job_id=job_id))
