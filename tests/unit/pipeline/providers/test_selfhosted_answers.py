"""What the adapter of the transcoder makes of answers that are broken, or meant to do harm."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import pytest

from pipeline.domain.errors import (
    AccountProblem,
    RefusedForNow,
    TerminalProviderError,
    TransientProviderError,
    UnknownOutcome,
)
from pipeline.domain.values import JobRef, SubmitRequest
from pipeline.providers.adapters.selfhosted import SelfHosted
from pipeline.providers.transport import MAX_ANSWER_BYTES
from tests.selfhosted_account import FACTS, selfhosted_account

ID = UUID(int=7)
REQUEST = SubmitRequest(
    asset_id=UUID(int=8),
    attempt_id=ID,
    source_url="https://videos.example/a.mp4",
    output_prefix="processed/a/b",
    poster_prefix="posters/a/b",
    source=FACTS,
)
JOB_REF = JobRef(ID, None, datetime(2026, 3, 1, tzinfo=UTC))
JOB = json.dumps({"id": str(ID), "status": "running", "progress": 40}).encode()
DEEP = b'{"error":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


class Provider(ThreadingHTTPServer):
    """Gives one answer to everything, in pieces, the last of them again and again if so told."""

    daemon_threads = True

    def __init__(self) -> None:
        self.head = b""
        self.pieces: list[bytes] = []
        self.endless = False
        self.pause_sec = 0.0
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answers)

    def will(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer so, and whole."""
        length = {} if self.endless else {"Content-Length": str(len(body))}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{name}: {value}\r\n" for name, value in {**length, **named}.items()]
        lines.append("Connection: close\r\n")
        self.head = f"HTTP/1.1 {status} So\r\n{''.join(lines)}\r\n".encode("latin-1")
        self.pieces = [body]

    def handle_error(self, *_: object) -> None:
        """The adapter hangs up in mid-answer on purpose."""


class _Answers(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.close_connection = True
        self.server.asked.append(self.path)
        self.wfile.write(self.server.head)
        for piece in self.server.pieces:
            self.wfile.write(piece)
        pause = threading.Event()
        with suppress(OSError):
            while self.server.endless and not pause.wait(self.server.pause_sec):
                self.wfile.write(self.server.pieces[-1])

    do_PUT = do_DELETE = do_GET  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[Provider]:
    server = Provider()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def adapting(provider: Provider, timeout_sec: float) -> Iterator[SelfHosted]:
    adapter = selfhosted_account(
        f"http://127.0.0.1:{provider.server_port}", token="token", timeout_sec=timeout_sec
    )
    yield adapter
    adapter._http.close()


@pytest.fixture
def adapter(provider: Provider) -> Iterator[SelfHosted]:
    with adapting(provider, timeout_sec=10) as adapter:
        yield adapter


@pytest.fixture
def hasty(provider: Provider) -> Iterator[SelfHosted]:
    with adapting(provider, timeout_sec=0.2) as adapter:
        yield adapter


def test_an_ordinary_answer_is_read(provider: Provider, adapter: SelfHosted) -> None:
    provider.will(200, JOB, X_Request_Id="abc")

    status = adapter.find(JOB_REF)

    assert status is not None
    assert (status.progress, status.provider_request_id) == (40, "abc")


@pytest.mark.parametrize("body", [DEEP, JOB + b" " * MAX_ANSWER_BYTES, b"\xff", b"null", b""])
def test_a_look_up_that_brings_no_document_is_no_news(
    body: bytes, provider: Provider, adapter: SelfHosted
) -> None:
    provider.will(200, body)

    with pytest.raises(TransientProviderError):
        adapter.find(JOB_REF)


def give_up(adapter: SelfHosted) -> None:
    with pytest.raises(TransientProviderError):
        adapter.find(JOB_REF)
    with pytest.raises(TransientProviderError):
        adapter.cancel(JOB_REF)
    with pytest.raises(UnknownOutcome):
        adapter.submit(REQUEST)


@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_an_answer_without_end_is_given_up(
    status: int, provider: Provider, adapter: SelfHosted
) -> None:
    provider.endless = True
    provider.will(status, b" " * 65536, Location="/elsewhere")

    give_up(adapter)


def test_an_answer_that_trickles_is_given_up(provider: Provider, hasty: SelfHosted) -> None:
    provider.endless, provider.pause_sec = True, 0.05
    provider.will(200, b" ")

    give_up(hasty)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (302, TransientProviderError),
        (400, TerminalProviderError),
        (401, AccountProblem),
        (429, RefusedForNow),
        (503, RefusedForNow),
        (500, UnknownOutcome),
    ],
)
@pytest.mark.parametrize("body", [DEEP, b"[]", b'{"error": {"code": NaN}}'])
def test_a_refusal_that_cannot_be_read_is_one_by_its_status(
    status: int, outcome: type[Exception], body: bytes, provider: Provider, adapter: SelfHosted
) -> None:
    provider.will(status, body)

    with pytest.raises(outcome, match=f"answered {status}"):
        adapter.submit(REQUEST)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_a_provider_is_not_followed(
    status: int, provider: Provider, adapter: SelfHosted
) -> None:
    provider.will(status, Location="/elsewhere")

    with pytest.raises(TransientProviderError):
        adapter.submit(REQUEST)
    with pytest.raises(TransientProviderError):
        adapter.find(JOB_REF)

    assert len(provider.asked) == 2
    assert "/elsewhere" not in provider.asked


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("²", None),
        ("-1", None),
        ("1.5", 1.5),
        ("1e9", None),
        ("9" * 400, None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("999999999", 86400.0),
    ],
)
def test_seconds_and_dates_say_when_to_come_again(
    said: str, understood: float | None, provider: Provider, adapter: SelfHosted
) -> None:
    provider.will(503, Retry_After=said)

    with pytest.raises(RefusedForNow) as held:
        adapter.submit(REQUEST)

    assert held.value.retry_after_sec == understood
    with pytest.raises(TransientProviderError) as silent:
        adapter.find(JOB_REF)
    assert silent.value.retry_after_sec == understood


@pytest.mark.parametrize("id_", ["a\0b", "a" * 300, "é"])
def test_an_id_that_no_column_should_hold_is_left_out(
    id_: str, provider: Provider, adapter: SelfHosted
) -> None:
    provider.will(201, X_Request_Id=id_)

    assert adapter.submit(REQUEST).provider_request_id is None
