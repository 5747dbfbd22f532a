"""A provider that is not reached made no job: its name, its port or its certificate fails."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.domain.errors import TransientProviderError
from pipeline.providers.transport import ProviderHttp
from stack.ports import free_port

OF_ANOTHER_NAME = Path("tests/unit/pipeline/net/video.example.pem")
"""Self-signed: its name and its issuer are both wrong here."""


@pytest.fixture
def untrusted() -> Iterator[str]:
    """The address of a server with a certificate that nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(OF_ANOTHER_NAME)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with closing(connection), pytest.raises(ssl.SSLError):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=greet)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def submit(url: str) -> None:
    client = ProviderHttp(url, headers={}, timeout_sec=5)
    with closing(client), pytest.raises(TransientProviderError, match="not reached"):
        client.submit("PUT", "/jobs/1", json={})


def test_a_certificate_that_is_not_valid_left_no_job(untrusted: str) -> None:
    submit(untrusted)


def test_a_name_that_is_not_resolved_left_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    submit("https://vendor.example")


def test_a_port_where_nobody_listens_left_no_job() -> None:
    submit(f"http://127.0.0.1:{free_port()}")
