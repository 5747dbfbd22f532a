"""Reverse proxies as processes, and the checks that hold behind each of them."""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import requests

from tests.conditions import PATIENCE_SEC
from tests.integration.api.published import Published


@contextmanager
def running_proxy(
    command: Sequence[str | Path], url: str, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[Published]:
    """Run a proxy for the length of the block, once it passes requests on.

    Args:
        url: The address at which it publishes the API.
        log: The file that it writes to.
        env: All of its environment; None for our own.
    """
    process = subprocess.Popen(command, env=env)
    try:
        _await(f"{url}/healthz", process, log)
        yield Published(url)
    finally:
        process.terminate()
        process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SEC
    while True:
        assert process.poll() is None, log.read_text()
        try:
            assert requests.get(url, timeout=PATIENCE_SEC).status_code == 200
        except requests.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def check_ipv6_client(api: Published, database_url: str) -> None:
    """Require that a client of IPv6 is counted by its own address, and not by one that it names."""
    refused = requests.post(
        f"http://[::1]:{urlsplit(api.url).port}/api/video-assets/webhook/selfhosted",
        b"{}",
        headers={"X-Forwarded-For": "6.6.6.6"},
        timeout=PATIENCE_SEC,
    )
    assert refused.status_code == 401
    with closing(psycopg.connect(database_url)) as database:
        assert database.execute("SELECT source FROM audit_events").fetchall() == [("::1",)]
