"""Telling the client: a signed POST, and what to make of its answer."""

import random
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from http import HTTPStatus
from uuid import UUID

import requests
from sqlalchemy import Engine

from pipeline.net.signatures import sign
from transcoder import store
from transcoder.database import transaction

GIVE_UP_AFTER = timedelta(hours=24)

_TIMEOUT_SEC = 5
_HOLD_SEC = 60  # above what one try can take, so that two processes never try at once
_FIRST_DELAY_SEC = 2.0
_LONGEST_DELAY_SEC = 1800.0


class CallbackAnswer(Enum):
    """What the receiver made of a callback."""

    TAKEN = auto()  # any 2xx
    UNWANTED = auto()  # 410: it will never want it
    AGAIN = auto()  # everything else, silence included


class CallbackSender:
    """The one place callbacks go to."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url
        self._secret = secret
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._session.close()

    def post(
        self,
        callback_id: UUID,
        body: bytes,
        request_id: str,
        *,
        now: datetime,
        timeout_sec: float = _TIMEOUT_SEC,
    ) -> CallbackAnswer:
        """Sign and send one try."""
        headers = sign(self._secret, str(callback_id), now, body)
        headers |= {"Content-Type": "application/json", "X-Request-Id": request_id}
        try:
            answer = self._session.post(
                self._url, data=body, headers=headers, timeout=timeout_sec, allow_redirects=False
            )
        except requests.RequestException:
            return CallbackAnswer.AGAIN
        if answer.ok and answer.status_code < HTTPStatus.MULTIPLE_CHOICES:
            return CallbackAnswer.TAKEN
        return (
            CallbackAnswer.UNWANTED
            if answer.status_code == HTTPStatus.GONE
            else CallbackAnswer.AGAIN
        )


def deliver_callback(
    engine: Engine,
    sender: CallbackSender,
    callback_id: UUID,
    *,
    now: datetime | None = None,
    rng: random.Random | None = None,
) -> None:
    """Try a callback once if it is due, and record what came of it. Safe to run twice."""
    now = now or datetime.now(UTC)
    with transaction(engine) as session:
        callback = store.take_callback(session, callback_id, _HOLD_SEC)
    if callback is None:
        return
    answer = sender.post(callback.id, callback.body, callback.request_id, now=now)
    with transaction(engine) as session:
        if answer is CallbackAnswer.TAKEN:
            store.mark_callback_delivered(session, callback.id)
        elif answer is CallbackAnswer.UNWANTED or now - callback.created_at > GIVE_UP_AFTER:
            store.mark_callback_abandoned(session, callback.id)
        else:
            delay_sec = retry_delay_sec(callback.tries, rng or random.Random())  # noqa: S311  no secret
            store.defer_callback(session, callback.id, delay_sec)


def retry_delay_sec(tries: int, rng: random.Random) -> float:
    """Full jitter: anything up to a ceiling that doubles with every try.

    Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    ceiling = min(_LONGEST_DELAY_SEC, _FIRST_DELAY_SEC * 2 ** min(tries - 1, 30))
    return rng.uniform(0, ceiling)
