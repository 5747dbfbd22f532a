"""A stream of server-sent events, read as a browser does."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from tests.conditions import PATIENCE_SEC
from tests.integration.api.conftest import token


@dataclass(frozen=True)
class Event:
    """What was sent between two empty lines."""

    type: str
    id: str
    data: dict[str, Any]

    @property
    def post_id(self) -> str:
        return str(self.data["post_id"])


class Stream:
    """An open stream."""

    def __init__(self, answer: requests.Response) -> None:
        self.answer = answer
        # One character at a time: more would wait for more to come.
        self._lines = answer.iter_lines(chunk_size=1, decode_unicode=True)

    def blocks(self) -> Iterator[list[str]]:
        """What is sent, comments included, until the stream ends."""
        block: list[str] = []
        for line in self._lines:
            if line:
                block.append(line)
            elif block:
                yield block
                block = []

    def events(self) -> Iterator[Event]:
        """The events, until the stream ends."""
        for block in self.blocks():
            fields = dict(line.split(": ", 1) for line in block)
            if "event" in fields:
                yield Event(fields["event"], fields["id"], json.loads(fields["data"]))

    def take(self, count: int) -> dict[str, Event]:
        """The next events, one for each of so many posts."""
        events = self.events()
        taken = [next(events) for _ in range(count)]
        by_post = {event.post_id: event for event in taken}
        assert len(by_post) == count, taken
        return by_post

    def next(self) -> Event:
        [event] = self.take(1).values()
        return event


@contextmanager
def following(
    url: str, post_ids: Sequence[str], *, ticket: str | None = None, last_id: str | None = None
) -> Iterator[Stream]:
    """Follow these posts until the block ends."""
    query = {"post_ids": ",".join(post_ids), **({"ticket": ticket} if ticket else {})}
    headers = {"Last-Event-ID": last_id} if last_id is not None else {}
    with requests.get(
        f"{url}/api/video-assets/stream",
        params=query,
        headers=headers,
        stream=True,
        timeout=PATIENCE_SEC,
    ) as answer:
        assert answer.status_code == 200, answer.text
        yield Stream(answer)


def ticket_of(url: str, subject: str, role: str = "authenticated") -> str:
    """A ticket that opens streams as this subject."""
    headers = {"Authorization": f"Bearer {token(subject, role=role)}"}
    answer = requests.post(f"{url}/api/stream-tickets", headers=headers, timeout=PATIENCE_SEC)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["ticket"])
