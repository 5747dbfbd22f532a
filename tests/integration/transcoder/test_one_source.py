"""The transcoder fetches the source that the worker has verified, and nothing else."""

from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import pytest

from pipeline.media.tools import Tools
from tests import clips
from tests.integration.transcoder.conftest import Client, callbacks_of, row, serving
from tests.public_addresses import treat_as_public
from transcoder.app import create_app
from transcoder.services import TranscoderServices, make_services
from transcoder.settings import load_settings
from transcoder.transcode import transcode

ETAG = '"v1"'


class Files(BaseHTTPRequestHandler):
    """Answers of a server by path: a body, or the address that it redirects to."""

    def __init__(self, answers: dict[str, bytes | str], asked: list[str], *args: Any) -> None:
        self._answers, self._asked = answers, asked
        super().__init__(*args)

    def do_GET(self) -> None:
        self._asked.append(self.path)
        answer = self._answers[self.path]
        body = answer if isinstance(answer, bytes) else b""
        self.send_response(200 if isinstance(answer, bytes) else 302)
        if isinstance(answer, str):
            self.send_header("Location", answer)
        self.send_header("ETag", ETAG)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def clip(clip_folder: Path, tools: Tools) -> bytes:
    return clips.very_short(clip_folder, tools).read_bytes()


@pytest.fixture
def inside() -> Iterator[tuple[str, dict[str, bytes | str], list[str]]]:
    """A server of ours in the private network: its origin, its answers, what it was asked."""
    answers: dict[str, bytes | str] = {}
    asked: list[str] = []
    with serving(partial(Files, answers, asked)) as url:
        yield url, answers, asked


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, bytes | str]]]:
    """A server at an address that counts as public."""
    treat_as_public(monkeypatch, "127.0.0.9")
    answers: dict[str, bytes | str] = {}
    server = ThreadingHTTPServer(("127.0.0.9", 0), partial(Files, answers, []))
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.9:{server.server_port}", answers
    server.shutdown()
    thread.join()
    server.server_close()


def services_with(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> TranscoderServices:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return make_services(load_settings())


def end_of(services: TranscoderServices, job_id: UUID) -> dict[str, Any]:
    """Encode a job here; return its error, or an empty one."""
    transcode(services, job_id)
    return dict(row(services, job_id).error or {})


def submit(services: TranscoderServices, source_url: str, **more: Any) -> UUID:
    client = Client(create_app(services).test_client(), source_url.rpartition("/")[0])
    return client.submit(Path(source_url.rpartition("/")[2]), **more)


@pytest.mark.parametrize(
    "measured",
    [{"source_etag": '"v0"'}, {"source_size_bytes": 1}, {"source_size_bytes": 10**6}],
    ids=str,
)
def test_a_source_that_changed_after_its_verification_is_not_encoded(
    services: TranscoderServices,
    inside: tuple[str, dict[str, bytes | str], list[str]],
    clip: bytes,
    measured: dict[str, Any],
) -> None:
    url, answers, _ = inside
    answers["/clip.mp4"] = clip
    job_id = submit(services, f"{url}/clip.mp4", **measured)

    error = end_of(services, job_id)

    assert (error["code"], error["retryable"]) == ("source_changed", False)
    assert "changed" in error["message"]
    assert [callback.body for callback in callbacks_of(services, job_id)]
    assert not list(services.settings.scratch.glob(f"{job_id}*"))


def test_the_source_that_was_verified_is_encoded(
    services: TranscoderServices,
    inside: tuple[str, dict[str, bytes | str], list[str]],
    clip: bytes,
) -> None:
    url, answers, _ = inside
    answers["/clip.mp4"] = clip
    job_id = submit(services, f"{url}/clip.mp4", source_etag=ETAG, source_size_bytes=len(clip))

    assert end_of(services, job_id) == {}
    assert row(services, job_id).status == "completed"


def test_a_strangers_source_leads_to_no_origin_of_ours(
    environment: None,
    inside: tuple[str, dict[str, bytes | str], list[str]],
    stranger: tuple[str, dict[str, bytes | str]],
    clip: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, answers, asked = inside
    answers["/clip.mp4"] = clip
    theirs, their_answers = stranger
    their_answers["/clip.mp4"] = f"{url}/clip.mp4"
    for allowance in (
        {"KHRONIKA_TRANSCODER_OWN_ORIGINS": url, "KHRONIKA_SOURCE_ALLOW": ""},
        {"KHRONIKA_TRANSCODER_OWN_ORIGINS": "", "KHRONIKA_SOURCE_ALLOW": url},
        {"KHRONIKA_TRANSCODER_OWN_ORIGINS": "", "KHRONIKA_SOURCE_ALLOW": "http://127.0.0.1:*"},
    ):
        public = {"KHRONIKA_SOURCE_HTTP": "true", "KHRONIKA_SOURCE_PORTS": "any"}
        services = services_with(monkeypatch, allowance | public)
        error = end_of(services, submit(services, f"{theirs}/clip.mp4"))
        services.engine.dispose()
        services.callback_sender.close()
        services.producer.close()
        assert (error["code"], error["retryable"]) == ("url_refused", False)
    assert asked == []


def test_an_allowance_is_for_one_origin(
    environment: None,
    inside: tuple[str, dict[str, bytes | str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, _, asked = inside
    services = services_with(
        monkeypatch, {"KHRONIKA_TRANSCODER_OWN_ORIGINS": url, "KHRONIKA_SOURCE_ALLOW": ""}
    )
    http = create_app(services).test_client()
    port = url.rpartition(":")[2]
    for address in (
        f"http://127.0.0.2:{port}/a.mp4",
        f"http://localhost:{port}/a.mp4",
        "http://127.0.0.1:6379/a.mp4",
        f"https://127.0.0.1:{port}/a.mp4",
    ):
        client = Client(http, address.rpartition("/")[0])
        job_id = UUID(int=1)
        answer = client.put(client.request(Path("a.mp4"), job_id), job_id)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (422, "url_refused")
    services.engine.dispose()
    services.callback_sender.close()
    services.producer.close()
    assert asked == []
