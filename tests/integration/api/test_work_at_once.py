"""Expensive work at once: of a process, of an owner, of an address."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from api.access.work_at_once import EXTENSION, ROUTES, Work, WorkAtOnce, work_of
from tests.conditions import PATIENCE_SEC, wait_until
from tests.integration.api.conftest import (
    OWNER,
    STRANGER,
    Client,
    World,
    serving,
)
from tests.integration.api.fixed_assets import LARGE, make_large_object
from tests.integration.api.test_uploads import wanted


@pytest.fixture
def narrow(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("KHRONIKA_WORK_CONTENTS", "4")  # an owner: 2, an address: 3
    monkeypatch.setenv("KHRONIKA_WORK_METRICS", "1")
    with serving(monkeypatch) as client:
        yield client


def going_on(api: Client) -> int:
    at_once: WorkAtOnce = api.app.extensions[EXTENSION]
    return sum(at_once.going_on().values())


class HalfSent:
    """A file of which half has been sent, over a connection that stays open."""

    def __init__(self, api: Client, stack: ExitStack, owner: str, address: str) -> None:
        issued = api.post("/api/uploads", wanted(8), as_=owner).json()
        at = urlsplit(issued["url"])
        lines = "".join(f"{name}: {value}\r\n" for name, value in issued["headers"].items())
        self.socket = stack.enter_context(socket.socket())
        self.socket.settimeout(PATIENCE_SEC)
        self.socket.bind((address, 0))
        self.socket.connect((at.hostname, at.port))
        head = f"PUT {at.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}"
        self.socket.sendall(f"{head}Content-Length: 8\r\n\r\nhalf".encode())

    def answer(self) -> str:
        with self.socket.makefile("rb") as answered:
            return answered.read().decode()

    def finish(self) -> str:
        self.socket.sendall(b"rest")
        return self.answer()


def test_uploads_at_once_are_bounded_for_an_owner_an_address_and_a_process(narrow: Client) -> None:
    here, there = "127.0.0.2", "127.0.0.3"
    with ExitStack() as stack:
        first = [HalfSent(narrow, stack, OWNER, here) for _ in range(2)]
        wait_until(lambda: going_on(narrow) == 6)
        third = HalfSent(narrow, stack, OWNER, there).answer()
        assert " 429 " in third.split("\r\n")[0]
        assert "for one owner" in third
        first.append(HalfSent(narrow, stack, STRANGER, here))
        wait_until(lambda: going_on(narrow) == 9)
        from_the_same_address = HalfSent(narrow, stack, STRANGER, here).answer()
        assert " 429 " in from_the_same_address.split("\r\n")[0]
        assert "for one address" in from_the_same_address
        first.append(HalfSent(narrow, stack, STRANGER, there))
        wait_until(lambda: going_on(narrow) == 12)
        full = HalfSent(narrow, stack, "carl", "127.0.0.4").answer()
        assert " 503 " in full.split("\r\n")[0]
        assert "too_much_at_once" in full
        assert "Retry-After: " in full
        assert [" 200 " in sent.finish().split("\r\n")[0] for sent in first] == [True] * 4
    wait_until(lambda: going_on(narrow) == 0)


def test_an_answer_counts_until_it_has_been_sent(api: Client, world: World, tmp_path: Path) -> None:
    make_large_object(api, world, tmp_path / "post-videos")
    answer = requests.get(f"{api.url}/media/public/{LARGE}", stream=True, timeout=PATIENCE_SEC)
    assert answer.status_code == 200
    assert going_on(api) == 2
    answer.close()
    wait_until(lambda: going_on(api) == 0)


def test_the_place_of_a_whole_answer_is_free_before_it_is_sent(api: Client) -> None:
    """Its client may ask again as soon as it has it, before the server has closed the answer."""
    with api.app.test_client().get("/metrics") as answer:
        assert answer.status_code == 200
        assert going_on(api) == 0


def test_refused_and_failed_requests_give_back_what_they_took(narrow: Client) -> None:
    for _ in range(5):
        assert narrow.call("PUT", "/api/uploads/x/content").status_code == 404
        nothing: dict[str, Any] = {"data": b"x", "as_": None}
        path = "/api/uploads/00000000-0000-4000-8000-000000000000/content"
        assert narrow.call("PUT", path, **nothing).status_code == 404
        assert narrow.get("/metrics", as_=None).status_code == 200
    wait_until(lambda: going_on(narrow) == 0)


def test_every_named_route_exists_and_every_kind_of_work_has_one(api: Client) -> None:
    rules = list(api.app.url_map.iter_rules())
    rooms = {rule.endpoint for rule in rules} | {rule.endpoint.split(".")[0] for rule in rules}
    assert ROUTES.keys() <= rooms
    assert {work_of(rule.endpoint) for rule in rules} - {None} == set(Work)
