"""What strangers and holders of a secret try at POST /api/video-assets/webhook/{provider}."""

import base64
import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from os import environ
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests
from sqlalchemy import select, text
from structlog.testing import capture_logs

from pipeline.net.signatures import make_secret, sign
from pipeline.providers.active_secrets import FRESH_SEC, vault_of
from pipeline.providers.callback_secrets import retire_secret, rotate_secret
from pipeline.records.models import AuditEvent, Delivery, ProviderSecret
from pipeline.runtime.database import make_engine, session_of
from tests.integration.api.conftest import Client, World, serving
from tests.integration.api.test_callbacks import PATH, job, send
from tests.integration.api.test_serving import CHECKOUT, COMMAND
from tests.scripted_provider import SECRET, callback
from transcoder.callback_delivery import CallbackAnswer, CallbackSender

DEEP = b'{"type": "job.progress", "data": ' + b"[" * 1500 + b"]" * 1500 + b"}"
UNREADABLE = {
    "nested too deeply": DEEP,
    "nested without an end": b"[" * 3000,
    "a number without an end": b'{"type": "job.progress", "n": ' + b"9" * 3000 + b"}",
    "a number beyond a double": b'{"type": "job.progress", "n": 1e999}',
    "a type named twice": b'{"type": "job.progress", "type": "storage.full"}',
    "broken UTF-8": b'{"type": "job.progress", "\xff": 1}',
    "NaN": b'{"type": "job.progress", "n": NaN}',
    "NUL in a text": b'{"type": "job.progress", "t": "\\u0000"}',
    "half a surrogate pair": b'{"type": "job.progress", "t": "\\ud800"}',
    "nothing": b"",
}


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return sign(secret, f"msg_{uuid4().hex}", datetime.now(UTC), body)


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_signed_body_that_would_trouble_a_reader_is_kept_as_dead(
    api: Client, world: World, body: bytes
) -> None:
    answer = send(api, signed(body), body)
    assert (answer.status_code, answer.json()) == (202, {"result": "dead"})
    stored = world.only(Delivery)
    assert (stored.status, stored.reason, stored.body) == ("dead", "unreadable", body)


def status_of(api: Client, head: str, *pieces: bytes) -> int:
    """Send exactly these bytes; what the first line of the answer says."""
    at = urlsplit(api.url)
    with closing(socket.create_connection((at.hostname or "", at.port or 0), timeout=60)) as peer:
        peer.sendall(head.replace("\n", "\r\n").encode() + b"\r\n")
        for piece in pieces:
            with suppress(OSError):  # it has heard enough
                peer.sendall(piece)
        with peer.makefile("rb") as answer:
            return int(answer.readline().split()[1])


HEAD = f"POST {PATH} HTTP/1.1\nHost: api\nConnection: close\nContent-Type: application/json\n"


def as_lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\n" for name, value in headers.items())


def chunks(body: bytes, size: int = 512) -> list[bytes]:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return [*(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"]


def test_an_announced_flood_is_refused_before_a_byte_of_it_is_read(
    api: Client, world: World
) -> None:
    head = HEAD + as_lines(signed(b"")) + "Content-Length: 1000000000000\n"
    assert status_of(api, head) == 413
    assert world.count(Delivery) == 0


def test_a_flood_in_chunks_is_cut_off_and_a_small_body_in_chunks_is_taken(
    api: Client, world: World
) -> None:
    _, body = callback(job(), "job.progress")
    head = HEAD + as_lines(signed(body)) + "Transfer-Encoding: chunked\n"
    assert status_of(api, head, *chunks(body)) == 202
    flood = b"x" * 100_000
    head = HEAD + as_lines(signed(flood)) + "Transfer-Encoding: chunked\n"
    assert status_of(api, head, *chunks(flood, 8192)) == 413
    assert world.count(Delivery) == 1


def test_a_length_that_lies_makes_another_body_of_it_which_is_not_signed(
    api: Client, world: World
) -> None:
    _, body = callback(job(), "job.progress")
    short = HEAD + as_lines(signed(body)) + f"Content-Length: {len(body) - 1}\n"
    assert status_of(api, short, body) == 401
    assert world.count(Delivery) == 0


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_comes_twice_is_no_signature(api: Client, world: World, name: str) -> None:
    headers, body = callback(job(), "job.progress")
    twice = as_lines(headers) + f"{name}: {headers[name]}\nContent-Length: {len(body)}\n"
    assert status_of(api, HEAD + twice, body) == 401
    assert world.count(Delivery) == 0


def _allowing(networks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHRONIKA_SELFHOSTED_WEBHOOK_SOURCES", networks)


def test_a_callback_from_another_network_is_the_same_401_and_audited_as_such(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    _allowing("192.0.2.0/24, ::1/128", monkeypatch)
    headers, body = callback(job(), "job.progress")
    with serving(monkeypatch) as api:
        answer = send(api, headers, body)
    assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")
    assert world.only(AuditEvent).reason == "source_refused"
    assert world.count(Delivery) == 0
    _allowing("127.0.0.0/8", monkeypatch)
    with serving(monkeypatch) as api:
        assert send(api, headers, body).status_code == 202


def test_many_rejections_are_an_error_in_the_log_and_a_count_to_scrape(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHRONIKA_CALLBACK_ALARM_REJECTIONS", "3")
    wrong = "whsec_" + base64.b64encode(b"not the secret of anybody").decode()
    with serving(monkeypatch) as api:
        before = _rejected(api)
        with capture_logs() as logs:
            answers = [send(api, *callback(job(), secret=wrong)) for _ in range(4)]
        assert {answer.status_code for answer in answers} == {401}
        assert _rejected(api) - before == 4
    told = [line for line in logs if line["event"] == "callbacks_rejected"]
    assert [(line["log_level"], line["provider"]) for line in told] == [("error", "selfhosted")]
    assert wrong not in json.dumps(logs, default=str)


def _rejected(api: Client) -> float:
    series = 'khronika_callbacks_rejected_total{provider="selfhosted",reason="bad_signature"} '
    lines = requests.get(f"{api.url}/metrics", timeout=60).text.splitlines()
    return sum(float(line.removeprefix(series)) for line in lines if line.startswith(series))


def test_through_a_rotation_the_transcoder_is_believed_before_and_after_it_is_told(
    api: Client, world: World, role_urls: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, book = api.services.settings, api.services.secrets
    clock = [0.0]
    monkeypatch.setattr(book, "_clock", lambda: clock[0])

    def tell(secret: str) -> CallbackAnswer:
        sender = CallbackSender(api.url + PATH, secret)
        _, body = callback(job(), "job.progress")
        try:
            return sender.post(uuid4(), body, "request", now=datetime.now(UTC))
        finally:
            sender.close()

    operator = make_engine(role_urls["operator"])
    with session_of(operator) as session:
        rotated = rotate_secret(
            session,
            vault_of(settings.media_urls.accepted_keys),
            "selfhosted",
            overlap_sec=3600,
            actor="operator:o",
            secret=make_secret(),
        )
    clock[0] += 1e9  # whatever was read before is stale
    assert tell(SECRET) is CallbackAnswer.TAKEN
    assert tell(rotated.secret) is CallbackAnswer.TAKEN
    with session_of(operator) as session:
        retire_secret(session, "selfhosted", actor="operator:o")
    operator.dispose()
    clock[0] += FRESH_SEC
    assert tell(SECRET) is CallbackAnswer.AGAIN
    assert tell(rotated.secret) is CallbackAnswer.TAKEN
    assert world.count(Delivery) == 3


def _spoil(role_urls: Mapping[str, str]) -> None:
    """As if the rows had been sealed with another key."""
    engine = make_engine(role_urls["owner"])
    with session_of(engine) as session:
        session.execute(text("ALTER TABLE provider_secrets NO FORCE ROW LEVEL SECURITY"))
        session.execute(text("UPDATE provider_secrets SET secret = '\\x00'"))
    engine.dispose()


def test_a_key_that_is_wrong_later_is_a_503_that_gives_nothing_away(
    api: Client, world: World, role_urls: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _spoil(role_urls)
    monkeypatch.setattr(api.services.secrets, "_clock", lambda: 1e12)
    with capture_logs() as logs:
        answer = send(api, *callback(job(), "job.progress"))
    assert (answer.status_code, answer.json()["code"]) == (503, "callbacks_unavailable")
    assert "SECRET" not in answer.text
    (told,) = (line for line in logs if line["event"] == "secrets_unreadable")
    assert "KHRONIKA_SECRET_KEY does not open" in told["detail"]
    assert "exc_info" not in told
    assert world.count(Delivery) == 0


@pytest.mark.parametrize(
    "command",
    [COMMAND, [sys.executable, "-c", "from api.app import create_app; create_app()"]],
    ids=["gunicorn", "factory"],
)
def test_a_wrong_key_stops_the_start_by_the_name_of_its_variable(
    api: Client, environment: Mapping[str, str], command: list[str]
) -> None:
    wrong = {**environ, **environment, "KHRONIKA_SECRET_KEY": "w" * 32}
    ended = subprocess.run(
        command, cwd=CHECKOUT, env=wrong, capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == 1
    assert "KHRONIKA_SECRET_KEY does not open the callback secrets of selfhosted" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_first_secrets_are_taken_over_when_the_api_starts(api: Client, world: World) -> None:
    with session_of(world.engine) as session:
        row = session.scalars(select(ProviderSecret)).one()
    settings: Any = api.services.settings
    assert (
        vault_of(settings.media_urls.accepted_keys).open(row.secret, account="selfhosted") == SECRET
    )
    assert row.retires_at is None
