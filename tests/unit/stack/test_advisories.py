"""Advisories, asked of a server on loopback that answers as OSV documents."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stack import advisories
from stack.ports import free_port
from tests.pinned_library import HLS_VERSION

FLASK = "pkg:pypi/flask@"
"""Has an advisory in every version."""
HLS = f"pkg:npm/hls.js@{HLS_VERSION}"


class Osv(ThreadingHTTPServer):
    """Knows one advisory."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answers)


class _Answers(BaseHTTPRequestHandler):
    server: Osv

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        purls = [query["package"]["purl"] for query in document["queries"]]
        self.server.asked += purls
        results = [
            {"vulns": [{"id": "PYSEC-1"}]} if purl.startswith(FLASK) else {} for purl in purls
        ]
        body = json.dumps({"results": results}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is said of a request."""


@pytest.fixture
def osv() -> Iterator[Osv]:
    with Osv() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_package_with_an_advisory_is_named(osv: Osv) -> None:
    url = f"http://127.0.0.1:{osv.server_port}/"
    assert advisories.find_advisories([HLS, f"{FLASK}1.0"], url) == {f"{FLASK}1.0": ["PYSEC-1"]}


def test_every_locked_package_is_asked_for(osv: Osv, capsys: pytest.CaptureFixture[str]) -> None:
    code = advisories.main(f"http://127.0.0.1:{osv.server_port}/")
    assert HLS in osv.asked
    assert len(osv.asked) > 200
    assert code == 1
    assert f"{len(osv.asked)} packages" in capsys.readouterr().out


def test_without_a_network_it_explains_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(advisories, "list_packages", lambda: [HLS])
    assert advisories.main(f"http://127.0.0.1:{free_port()}/") == 2
    assert "needs the network" in capsys.readouterr().err
