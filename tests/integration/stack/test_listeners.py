"""The listeners of real processes: those of development, and the operators' own."""

import http.client
import json
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from stack.ports import free_port
from stack.process_variables import environment_of
from tests.conditions import wait_until
from tests.integration.stack.procfile_runs import (
    COMMANDS,
    START_SEC,
    TRANSCODER,
    WEB,
    StartProcess,
    has_started,
)
from tests.production import key_for

INTERNAL = "KHRONIKA_INTERNAL_BIND"
PAGES = ("/metrics", "/docs", "/openapi.json", "/ops/", "/ops", "/ops/sign-in", "/ops/accounts")
TOKEN = {"Authorization": f"Bearer {key_for('metrics_token')}"}
PRETENCES: Mapping[str, Mapping[str, str]] = {
    "nothing": {},
    "a host": {"Host": "127.0.0.1"},
    "a proxy": {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
    "a proxy for itself": {"Forwarded": "for=127.0.0.1;host=localhost", "X-Forwarded-Host": "::1"},
    "a variable": {"Remote-Addr": "127.0.0.1", "X-Remote-Addr": "127.0.0.1"},
}
"""The ways in which a client may call itself local."""


class Answer(NamedTuple):
    """An answer of a process."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, object]:
        """The JSON document of the body."""
        found: dict[str, object] = json.loads(self.body)
        return found


def call(
    address: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    source: str | None = None,
) -> Answer:
    """Call a process, from an address of this machine."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(
        host.strip("[]"),
        int(port),
        timeout=START_SEC,
        source_address=(source, 0) if source else None,
    )
    try:
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.headers.items()), answer.read())
    finally:
        connection.close()


@pytest.fixture
def own_address() -> str:
    """An address of this machine that is not loopback. A client that calls from it is a foreign
    peer to a process on loopback, as the kernel reports it.
    """
    found = (
        each.address
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family is socket.AF_INET and not each.address.startswith("127.")
    )
    if (address := next(found, None)) is None:
        pytest.skip("this machine has no address but loopback")
    return address


@pytest.fixture
def started(
    start_process: StartProcess, tmp_path: Path
) -> Callable[[str, Mapping[str, str]], subprocess.Popen[bytes]]:
    """Starts a process and waits until it serves."""

    def start(name: str, given: Mapping[str, str]) -> subprocess.Popen[bytes]:
        process = start_process(name, given)
        log = tmp_path / "log"
        wait_until(lambda: has_started(name, process, given, log), f"{name} has started")
        return process

    return start


Started = Callable[[str, Mapping[str, str]], object]


@pytest.mark.parametrize("name", ["web", "transcoder"])
def test_a_development_process_serves_its_own_machine_alone_whatever_headers_say(
    whole: Mapping[str, str], started: Started, own_address: str, name: str
) -> None:
    # A proxy counts: its header names the client for limits, and nothing else.
    given = environment_of(name, COMMANDS[name], {**whole, "KHRONIKA_PROXIES": "1"})
    started(name, given)
    address = given[WEB if name == "web" else TRANSCODER]
    for pretence in PRETENCES.values():
        for path in ("/healthz", "/readyz", "/nothing", "/metrics", "/ops/", "/v1/jobs/1"):
            refused = call(address, path, pretence, source=own_address)
            problem = refused.document
            problem = problem.get("error", problem)  # type: ignore[assignment]
            assert (refused.status, problem["code"]) == (403, "development_only"), (path, pretence)
    foreign = {"Host": "video.site.example", "X-Forwarded-For": "203.0.113.9"}
    assert call(address, "/healthz", foreign).status == 200


@pytest.mark.parametrize("name", ["web", "transcoder"])
@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_a_development_process_refuses_to_listen_for_other_machines(
    whole: Mapping[str, str], start_process: StartProcess, tmp_path: Path, name: str, host: str
) -> None:
    variable = WEB if name == "web" else TRANSCODER
    given = environment_of(name, COMMANDS[name], {**whole, variable: f"{host}:{free_port()}"})

    process = start_process(name, given)

    assert process.wait(START_SEC) not in (0, -9)
    written = (tmp_path / "log").read_text()
    assert "KHRONIKA_ENV: development" in written
    assert "Traceback" not in written


def test_a_development_process_refuses_a_socket_that_others_reach(
    whole: Mapping[str, str], start_process: StartProcess, tmp_path: Path
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listening:
        descriptor = listening.fileno()
        given = environment_of("web", COMMANDS["web"], {**whole, WEB: f"fd://{descriptor}"})
        process = start_process("web", given, keep_open=[descriptor])
        assert process.wait(START_SEC) not in (0, -9)
    assert "KHRONIKA_ENV: development" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("app", ["api.app", "transcoder.app"])
def test_without_its_configuration_a_server_refuses_unsafe_settings_and_ends(
    production: Callable[[str], dict[str, str]],
    start_process: StartProcess,
    tmp_path: Path,
    app: str,
) -> None:
    name = "web" if app.startswith("api") else "transcoder"
    line = f"gunicorn '{app}:create_app()' --bind 127.0.0.1:{free_port()} --no-control-socket"
    given = {**production(name), "KHRONIKA_SOURCE_PORTS": "any"}
    process = start_process(name, given, line=line)
    assert process.wait(START_SEC) not in (0, -9)
    assert "KHRONIKA_SOURCE_PORTS: " in (tmp_path / "log").read_text()


def test_flower_of_development_refuses_to_listen_for_other_machines(
    whole: Mapping[str, str], start_process: StartProcess, tmp_path: Path
) -> None:
    given = {**whole, "KHRONIKA_FLOWER_ADDRESS": "0.0.0.0"}
    process = start_process("flower", environment_of("flower", COMMANDS["flower"], given))
    assert process.wait(START_SEC) not in (0, -9)
    assert "--address: KHRONIKA_ENV=development" in (tmp_path / "log").read_text()


def test_production_serves_other_machines(
    production: Callable[[str], dict[str, str]], started: Started, own_address: str
) -> None:
    given = production("web")
    started("web", given)
    assert call(given[WEB], "/healthz", source=own_address).status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::]"])
def test_the_pages_of_operators_are_on_their_own_listener_alone(
    production: Callable[[str], dict[str, str]], started: Started, host: str
) -> None:
    given = production("web")
    given |= {name: f"{host}:{free_port()}" for name in (WEB, INTERNAL)}
    started("web", given)
    public, internal = given[WEB], given[INTERNAL]
    nothing = call(public, "/nothing").document
    for path in PAGES:
        for headers in ({}, TOKEN, {"Host": internal}, {"X-Forwarded-Host": internal}):
            hidden = call(public, path, headers)
            assert hidden.status == 404
            assert told(hidden.document) == told(nothing)
        for method in ("POST", "OPTIONS", "HEAD"):
            assert call(public, path, method=method).status == 404, method
    assert call(internal, "/metrics", TOKEN).status == 200
    assert call(internal, "/openapi.json").status == 200
    assert call(internal, "/docs").status == 200
    assert call(internal, "/ops/sign-in").status == 200
    for address in (public, internal):
        assert call(address, "/healthz").status == 200
        assert call(address, f"/api/video-assets?post_ids={'0' * 8}").status == 422


def told(problem: Mapping[str, object]) -> dict[str, object]:
    """A problem without the members that differ from request to request."""
    return {
        name: value for name, value in problem.items() if name not in {"request_id", "instance"}
    }


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer "}, {"Authorization": "Bearer wrong"}, {"Authorization": "é"}],
    ids=["none", "empty", "wrong", "another script"],
)
def test_the_metrics_ask_for_their_token(
    production: Callable[[str], dict[str, str]], started: Started, headers: Mapping[str, str]
) -> None:
    given = {name: value for name, value in production("web").items() if name != INTERNAL}
    started("web", given)
    refused = call(given[WEB], "/metrics", headers)
    assert (refused.status, refused.document["code"]) == (401, "metrics_token_required")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert b"khronika_assets" in call(given[WEB], "/metrics", TOKEN).body


def test_the_listener_is_opened_beside_a_socket_that_was_passed(
    production: Callable[[str], dict[str, str]], start_process: StartProcess
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        public, descriptor = f"127.0.0.1:{listening.getsockname()[1]}", listening.fileno()
        given = {**production("web"), WEB: f"fd://{descriptor}"}
        start_process("web", given, keep_open=[descriptor])
        assert call(public, "/healthz").status == 200
        assert call(public, "/metrics", TOKEN).status == 404
        assert call(given[INTERNAL], "/metrics", TOKEN).status == 200


def test_a_listener_that_is_taken_refuses_the_start(
    production: Callable[[str], dict[str, str]], start_process: StartProcess, tmp_path: Path
) -> None:
    given = production("web")
    with socket.create_server(("127.0.0.1", int(given[INTERNAL].rpartition(":")[2]))):
        process = start_process("web", given)
        assert process.wait(START_SEC) not in (0, -9)
    written = (tmp_path / "log").read_text()
    assert "KHRONIKA_INTERNAL_BIND: cannot listen there" in written
    assert "Traceback" not in written
