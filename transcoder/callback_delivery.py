"""Delivery of signed callbacks to the client, one POST a try."""

import random
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from http import HTTPStatus
from uuid import UUID

import requests
from sqlalchemy import Engine

from pipeline.net.signatures import sign
from pipeline.runtime.database import session_of
from transcoder import store

GIVE_UP_AFTER = timedelta(hours=24)

_TIMEOUT_SEC = 5
_HOLD_SEC = 60  # longer than one try can take, so that no two processes try at the same time
_FIRST_DELAY_SEC = 2.0
_LONGEST_DELAY_SEC = 1800.0


class CallbackAnswer(Enum):
    """A receiver's verdict on one try."""

    TAKEN = auto()  # any 2xx
    UNWANTED = auto()  # 410: no later try will be accepted
    AGAIN = auto()  # any other status, and no answer at all


class CallbackSender:
    """Connection to the one receiver of all callbacks."""

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
        """Sign a callback and send it once."""
        headers = sign(self._secret, str(callback_id), now, body)
        headers |= {"Content-Type": "application/json", "X-Request-Id": request_id}
        try:
            answer = self._session.post(
                self._url, data=body, headers=headers, timeout=timeout_sec, allow_redirects=False
            )
        except requests.RequestException:
            return CallbackAnswer.AGAIN
        if answer.status_code == HTTPStatus.GONE:
            return CallbackAnswer.UNWANTED
        taken = answer.ok and answer.status_code < HTTPStatus.MULTIPLE_CHOICES
        return CallbackAnswer.TAKEN if taken else CallbackAnswer.AGAIN


def deliver_callback(
    engine: Engine,
    sender: CallbackSender,
    callback_id: UUID,
    *,
    now: datetime | None = None,
    rng: random.Random | None = None,
) -> None:
    """Try a callback once if it is due, and record the answer. Safe to run twice."""
    now = now or datetime.now(UTC)
    with session_of(engine) as session:
        callback = store.take_callback(session, callback_id, _HOLD_SEC)
    if callback is None:
        return
    answer = sender.post(callback.id, callback.body, callback.request_id, now=now)
    with session_of(engine) as session:
        if answer is CallbackAnswer.TAKEN:
            store.mark_callback_delivered(session, callback.id)
        elif answer is CallbackAnswer.UNWANTED or now - callback.created_at > GIVE_UP_AFTER:
            store.mark_callback_abandoned(session, callback.id)
        else:
            delay_sec = retry_delay_sec(callback.tries, rng or random.Random())  # noqa: S311  no secret
            store.defer_callback(session, callback.id, delay_sec)


def retry_delay_sec(tries: int, rng: random.Random) -> float:
    """Draw a delay by full jitter: between 0 and a ceiling that doubles with every try.

    Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    ceiling = min(_LONGEST_DELAY_SEC, _FIRST_DELAY_SEC * 2 ** min(tries - 1, 30))
    return rng.uniform(0, ceiling)
