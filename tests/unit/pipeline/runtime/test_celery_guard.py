from dataclasses import dataclass, field
from typing import Any

import pytest

from pipeline.runtime.celery_guard import Message, admitting

FINE = {"id": "1", "task": "encode"}
NO_HEADERS: tuple[Any, ...] = (
    *(None, [], "", {}, {"task": "encode"}),
    *({"id": "1", "task": ["encode"]}, {"id": {}, "task": "encode"}, {"id": 7, "task": "encode"}),
)


@dataclass
class Sent:
    """A message as kombu gives it to a consumer."""

    headers: Any = field(default_factory=lambda: dict(FINE))
    body: bytes | str = "[[], {}, {}]"
    content_type: str | None = "application/json"


def outcome(message: Message) -> str:
    """Whether it is handled or refused."""
    return str(admitting(lambda _: "handled", lambda _: "refused")(message))


def test_a_message_goes_on_with_the_headers_that_a_task_of_ours_needs() -> None:
    forged = {"timelimit": [1, 1], "shadow": "other", "eta": "9999", "root_id": {}, "group": "g"}
    message = Sent(headers=FINE | forged | {"expires": "2030-01-01T00:00:00"})

    assert outcome(message) == "handled"
    assert message.headers == FINE | {"expires": "2030-01-01T00:00:00", "lang": "py"}


@pytest.mark.parametrize(
    "message",
    [
        *(Sent(headers=headers) for headers in NO_HEADERS),
        *(Sent(body=body) for body in ("", b"", b'{"task": "encode"}', "{}", " [[], {}, {}]")),
    ],
)
def test_a_message_that_no_client_of_ours_publishes_is_refused(message: Sent) -> None:
    assert outcome(message) == "refused"


def test_a_body_of_another_type_is_celerys_to_refuse_by_name() -> None:
    assert outcome(Sent(body=b"\x80", content_type="application/x-python-serialize")) == "handled"


@pytest.mark.parametrize("error", [ValueError, TypeError, AttributeError, KeyError, IndexError])
def test_what_raises_while_it_is_unpacked_is_refused(error: type[Exception]) -> None:
    def handle(_: Any) -> None:
        raise error

    assert admitting(handle, lambda _: "refused")(Sent()) == "refused"


def test_a_broker_that_goes_away_meanwhile_is_no_fault_of_the_message() -> None:
    def handle(_: Any) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        admitting(handle, lambda _: "refused")(Sent())
