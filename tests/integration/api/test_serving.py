"""The API as gunicorn serves it, in processes of its own."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from requests.exceptions import ChunkedEncodingError

from pipeline.runtime.deployment import REFUSED
from stack.supervisor import read_procfile
from tests.conditions import PATIENCE_SEC, wait_until
from tests.integration.api.conftest import SOURCE, Client, World, token
from tests.integration.api.fixed_assets import LARGE, make_large_object
from tests.integration.api.following import Stream, following, ticket_of

CHECKOUT = Path(__file__).parents[3]
WEB = read_procfile(CHECKOUT / "Procfile")["web"]
COMMAND = ["/bin/sh", "-c", f"exec {shlex.quote(sys.executable)} -m {WEB}"]
"""The Procfile's own line: an option that it had, and a test had not, would be tried by none."""


@contextmanager
def gunicorn(environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """Run it with two workers until the block ends; it must end by itself when told to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        descriptor = listening.fileno()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with log.open("wb") as output:
            server = subprocess.Popen(
                COMMAND,
                cwd=CHECKOUT,
                env={
                    **os.environ,
                    "KHRONIKA_PUBLIC_URL": url,
                    **environment,
                    "WEB_CONCURRENCY": "2",
                    "KHRONIKA_WEB_BIND": f"fd://{descriptor}",
                },
                pass_fds=[descriptor],
                stdout=output,
                stderr=output,
            )
        try:
            wait_until(lambda: _answers(url))
            yield url
            server.send_signal(signal.SIGTERM)
            assert server.wait(PATIENCE_SEC) == 0
        finally:
            server.kill()
            server.wait()


def _answers(url: str) -> bool:
    with suppress(requests.ConnectionError, requests.Timeout):
        return requests.get(f"{url}/healthz", timeout=60).status_code == 200
    return False


def test_two_workers_serve_and_are_scraped_as_one(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    def create(number: int) -> int:
        # Owners of their own: one owner's creates wait for each other, for a bounded time.
        headers = {"Authorization": f"Bearer {token(f'owner-{number}')}"}
        body = {"post_id": str(uuid4()), "source_url": SOURCE}
        url = f"{served}/api/video-assets/create"
        return requests.post(url, json=body, headers=headers, timeout=PATIENCE_SEC).status_code

    log = tmp_path / "log"
    with gunicorn(environment, log) as served:
        with ThreadPoolExecutor(8) as callers:
            assert list(callers.map(create, range(40))) == [202] * 40
        seen = {_creates_seen(served) for _ in range(10)}
    assert seen == {40.0}
    assert "Traceback" not in log.read_text()


def _creates_seen(url: str) -> float:
    text = requests.get(f"{url}/metrics", timeout=PATIENCE_SEC).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "khronika_http_request_duration_seconds_count"
        and sample.labels["route"] == "/api/video-assets/create"
    )


KEEPING_WAITING = {
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Unfinished: ",
    "half a body": b"POST /api/video-assets/webhook HTTP/1.1\r\nHost: x\r\n"
    b"Content-Length: 9\r\n\r\n{",
    "an answer unread": f"GET /media/public/{LARGE} HTTP/1.1\r\n".encode() + b"Host: x\r\n\r\n",
    "an end unclosed": b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
}


def test_clients_that_fall_silent_keep_nobody_else_out(
    api: Client, world: World, environment: Mapping[str, str], tmp_path: Path
) -> None:
    make_large_object(api, world, tmp_path / "post-videos")
    log, unserved = tmp_path / "log", []
    with gunicorn({**environment, "KHRONIKA_CLIENT_PATIENCE_SEC": "0.5"}, log) as served:
        place = (urlsplit(served).hostname, urlsplit(served).port)
        for kind, sent in KEEPING_WAITING.items():
            with ExitStack() as stack:
                # More than the threads of two workers, wherever the kernel sends whom.
                for _ in range(300):
                    silent = stack.enter_context(socket.create_connection(place))
                    silent.sendall(sent)
                with suppress(requests.Timeout):
                    requests.get(f"{served}/healthz", timeout=PATIENCE_SEC)
                    continue
                unserved.append(kind)
    assert unserved == []
    assert "Traceback" not in log.read_text()


def test_an_upload_that_is_cut_off_is_told_why(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    with gunicorn(environment, tmp_path / "log") as served:
        body = {
            "post_id": str(uuid4()),
            "filename": "a.mp4",
            "size_bytes": 1000,
            "mime_type": "video/mp4",
        }
        url = f"{served}/api/uploads"
        issued = requests.post(url, json=body, headers=headers, timeout=PATIENCE_SEC).json()
        content = f"{url}/{issued['upload_id']}/content"
        answer = requests.put(
            content, data=b"x" * 20_000_000, headers=issued["headers"], timeout=PATIENCE_SEC
        )
    assert (answer.status_code, answer.json()["code"]) == (413, "source_too_large")


def test_logs_hold_the_request_id_and_no_secret(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    log, bearer = tmp_path / "log", token()
    headers = {"Authorization": f"Bearer {bearer}", "X-Request-Id": "find-me"}
    with gunicorn(environment, log) as served:
        body = {"post_id": str(uuid4()), "source_url": f"{SOURCE}?sig=s3cret"}
        requests.post(f"{served}/api/video-assets/create", json=body, headers=headers, timeout=60)
        requests.get(f"{served}/media/tok3n/x?key=s3cret", headers=headers, timeout=60)
    logged = log.read_text()
    lines = [json.loads(line) for line in logged.splitlines() if '"find-me"' in line]
    assert [line["route"] for line in lines] == [
        "/api/video-assets/create",
        "/media/<token>/<path:key>",
    ]
    for secret in (bearer, "s3cret", "tok3n", environment["KHRONIKA_JWT_SECRET"]):
        assert secret not in logged


def processes() -> tuple[list[psutil.Process], list[psutil.Process]]:
    """Those of gunicorn that we have started: the one that minds the others, and the others."""
    ours = psutil.Process().children(recursive=True)
    servers = [process for process in ours if "gunicorn" in process.cmdline()]
    minding = [process for process in servers if process.ppid() == os.getpid()]
    return minding, [process for process in servers if process not in minding]


def test_open_streams_leave_room_for_requests_and_end_with_the_server(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    log, post_id = tmp_path / "log", str(uuid4())
    with ExitStack() as stack:
        with gunicorn({**environment, "KHRONIKA_STREAM_CLIENTS": "3"}, log) as served:
            ticket = ticket_of(served, "ana")
            streams: list[Stream] = []
            refused = 0
            # Two workers: six places, wherever the kernel sends whom.
            while len(streams) < 6:
                opening = following(served, [post_id], ticket=ticket)
                try:
                    streams.append(stack.enter_context(opening))
                except AssertionError as full:
                    assert "stream_full" in str(full)  # noqa: PT017 - how the helper refuses
                    refused += 1
                    assert refused < 1000
            assert [stream.next().type for stream in streams] == ["gone"] * 6
            with pytest.raises(AssertionError, match="stream_full"):
                stack.enter_context(following(served, [post_id]))
            gauge = "khronika_stream_clients 6.0"
            assert gauge in requests.get(f"{served}/metrics", timeout=PATIENCE_SEC).text
        # It has ended: sooner than it would kill what is still open, and every stream in order.
        assert [list(stream.events()) for stream in streams] == [[]] * 6
    said = log.read_text()
    assert "/api/video-assets/stream" in said
    assert "Traceback" not in said
    assert ticket not in said


def test_a_stream_goes_on_in_another_process_when_its_own_is_killed(
    environment: Mapping[str, str], tmp_path: Path, world: World
) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    with gunicorn(environment, tmp_path / "log") as served:
        made = [
            requests.post(
                f"{served}/api/video-assets/create",
                json={"post_id": str(uuid4()), "source_url": SOURCE},
                headers=headers,
                timeout=PATIENCE_SEC,
            ).json()
            for _ in range(2)
        ]
        posts = [asset["post_id"] for asset in made]
        with following(served, posts) as stream:
            last_id = list(stream.take(2).values())[-1].id
            _, workers = processes()
            for worker in workers:
                worker.kill()
            with pytest.raises((requests.ConnectionError, ChunkedEncodingError)):
                list(stream.events())
        world.fail(made[0]["id"])
        wait_until(lambda: _answers(served))
        with following(served, posts, last_id=last_id) as stream:
            sent = stream.next()
            assert (sent.post_id, sent.data["status"]) == (posts[0], "failed")
            world.amend(made[1]["id"], title="Later")
            assert stream.next().data["title"] == "Later"


WRONG = {
    "KHRONIKA_JWT_SECRET": "short",
    "KHRONIKA_SOURCE_MAX_BYTES": "many",
    "KHRONIKA_SELFHOSTED_URL": "not a url",
    "KHRONIKA_API_DATABASE_URL": None,
}


@pytest.mark.parametrize(
    "command",
    [COMMAND, [sys.executable, "-c", "from api.app import create_app; create_app()"]],
    ids=["gunicorn", "factory"],
)
def test_wrong_settings_stop_the_start_with_every_variable_named_and_no_value(
    environment: Mapping[str, str], command: list[str]
) -> None:
    variables = {**os.environ, **environment, **{k: v for k, v in WRONG.items() if v}}
    del variables["KHRONIKA_API_DATABASE_URL"]
    ended = subprocess.run(
        command,
        cwd=CHECKOUT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SEC,
        check=False,
    )
    assert ended.returncode == REFUSED
    for name in WRONG:
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "short" not in ended.stderr.replace("shorter", "")
