from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipeline.runtime.celery_guard import LOG_EVERY_SEC, Message, RefusedMessages, admitting
from pipeline.runtime.message_signatures import HEADER, MAX_BODY_BYTES, derive_key, sign_message

KEY = derive_key("secret", "test.v1")
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

    def __post_init__(self) -> None:
        """Sign it, if it has headers that can hold a signature."""
        raw = self.body.encode() if isinstance(self.body, str) else self.body
        if isinstance(self.headers, dict):
            self.headers = {**self.headers, HEADER: sign_message(KEY, self.headers, raw)}


def outcome(message: Message) -> str:
    """Whether it is handled or refused."""
    return str(admitting(lambda _: "handled", lambda _: "refused", keys=KEY)(message))


@pytest.mark.parametrize(
    "changed",
    [
        {HEADER: None},
        {HEADER: "0" * 64},
        {HEADER: "é"},
        {HEADER: ["x"]},
        {"task": "other"},
        {"id": "2"},
        {"expires": "2999-01-01T00:00:00"},
        {HEADER: sign_message(derive_key("secret", "test.v2"), FINE, b"[[], {}, {}]")},
    ],
    ids=["none", "zeros", "letters", "a list", "task", "id", "expires", "another purpose"],
)
def test_a_message_whose_signature_is_not_ours_is_refused(changed: Mapping[str, Any]) -> None:
    message = Sent()
    message.headers.update(changed)
    assert outcome(message) == "refused"


def test_in_an_overlap_messages_of_both_keys_are_handled_and_after_it_of_one() -> None:
    new = derive_key("another secret", "test.v1")

    def outcome_with(*keys: str) -> str:
        return str(admitting(lambda _: "handled", lambda _: "refused", keys=keys)(Sent()))

    assert outcome_with(new, KEY) == outcome_with(KEY) == "handled"
    assert outcome_with(new) == "refused"


def test_a_signature_is_of_one_body_and_a_large_body_is_not_even_verified() -> None:
    message = Sent()
    message.body = '[["x"], {}, {}]'
    assert outcome(message) == "refused"
    assert outcome(Sent(body="[" + " " * (MAX_BODY_BYTES - 1))) == "handled"
    assert outcome(Sent(body="[" + " " * MAX_BODY_BYTES)) == "refused"


def test_a_flood_of_refusals_is_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = iter([*([0.0] * 500), LOG_EVERY_SEC, *([LOG_EVERY_SEC + 1] * 500)])
    refused = RefusedMessages(clock=lambda: next(now))
    for _ in range(1001):
        refused.record()
    assert [record.getMessage() for record in caplog.records] == [
        "task messages refused: 1 since the start",
        "task messages refused: 501 since the start",
    ]


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

    assert admitting(handle, lambda _: "refused", keys=KEY)(Sent()) == "refused"


def test_a_broker_that_goes_away_meanwhile_is_no_fault_of_the_message() -> None:
    def handle(_: Any) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        admitting(handle, lambda _: "refused", keys=KEY)(Sent())
