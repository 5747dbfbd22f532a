"""Manners towards a vendor: its pace, its pauses and its refusals of the account.

``Mannered`` stands before every adapter. It takes a token before each call, from rows that all
processes share, and it remembers the answers: a Retry-After pauses the whole account, and a refusal
of the account is kept until a call succeeds again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TypeVar

import structlog
from sqlalchemy import Engine

from pipeline.config.account_settings import AccountSettings
from pipeline.domain.errors import AccountProblem, ProviderError, RefusedForNow
from pipeline.domain.failures import known_code
from pipeline.domain.values import (
    CallbackEnvelope,
    ConfirmSubscription,
    JobRef,
    ListedJob,
    LookAtJob,
    ProviderStatus,
    Rate,
    SignedCallback,
    SubmitRequest,
    Submitted,
    Verb,
)
from pipeline.providers.base import Capabilities, OutputKind, Provider, Trust
from pipeline.records import account_states, provider_calls
from pipeline.runtime.database import DATABASE_AWAY, reading_session, session_of

MOST_WAIT_SEC = 5.0
"""Longest time that a call waits here for its turn. A longer wait goes back into a row."""

LOOK_AGAIN_SEC = 60.0
"""Time until a disabled account is thought of again."""

PAGE = 100
"""Jobs of a vendor's list for which one turn is taken: the usual size of a page."""

ABOUT_ONE_JOB = frozenset({"insufficient_space"})
"""Codes of refusals that a smaller job may not get: they pause nothing else."""

Result = TypeVar("Result")

log = structlog.get_logger()


def limited_by(settings: AccountSettings, able: Capabilities) -> Capabilities:
    """Return the capabilities with the limits that the account's settings name."""
    rates = {Verb.WRITE: settings.writes_per_sec, Verb.READ: settings.reads_per_sec}
    own = {verb: Rate(per_sec) for verb, per_sec in rates.items() if per_sec is not None}
    return replace(able, pace={**able.pace, **own}, max_jobs=settings.max_jobs or able.max_jobs)


class Mannered:
    """A provider whose calls keep the vendor's pace. It has the adapter's own surface.

    Args:
        settings: Limits of the account that differ from the vendor's.
    """

    def __init__(
        self,
        inner: Provider,
        engine: Engine,
        settings: AccountSettings | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._inner = inner
        self._engine = engine
        self._settings = settings
        self._sleep = sleep

    @property
    def name(self) -> str:
        """The configured name of the account."""
        return self._inner.name

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of the account."""
        able = self._inner.capabilities
        return limited_by(self._settings, able) if self._settings else able

    @property
    def trust(self) -> Trust:
        """Limits of the trust in this account."""
        return self._inner.trust

    def submit(self, request: SubmitRequest) -> Submitted:
        """Submit in turn."""
        return self._call("submit", Verb.WRITE, lambda: self._inner.submit(request))

    def advance(self, job: JobRef, follow_up: str) -> None:
        """Make a follow-up call in turn."""
        self._call("advance", Verb.WRITE, lambda: self._inner.advance(job, follow_up))

    def find(self, job: JobRef) -> ProviderStatus | None:
        """Look a job up in turn."""
        return self._call("find", Verb.READ, lambda: self._inner.find(job))

    def fetch(self, job: JobRef) -> ProviderStatus | None:
        """Fetch the state of a job in turn."""
        return self._call("fetch", Verb.READ, lambda: self._inner.fetch(job))

    def cancel(self, job: JobRef) -> None:
        """Cancel a job in turn."""
        self._call("cancel", Verb.WRITE, lambda: self._inner.cancel(job))

    def list_since(self, instant: datetime) -> Iterator[ListedJob]:
        """List jobs; each ``PAGE`` of them takes a turn, and no more than a page is read ahead."""
        jobs = iter(self._inner.list_since(instant))
        while page := self._call("list", Verb.READ, lambda: list(islice(jobs, PAGE))):
            yield from page

    def sign(self, address: str, kind: OutputKind, until: datetime) -> str:
        """Sign an address; nothing is called."""
        return self._inner.sign(address, kind, until)

    def documents_for(self, envelope: CallbackEnvelope) -> Sequence[str]:
        """Name the documents of a verification; nothing is called."""
        return self._inner.documents_for(envelope)

    def verify_callback(
        self, envelope: CallbackEnvelope, secrets: Sequence[str], now: datetime
    ) -> SignedCallback:
        """Check a signature; nothing is called."""
        return self._inner.verify_callback(envelope, secrets, now)

    def read_callback(
        self, envelope: CallbackEnvelope
    ) -> ProviderStatus | LookAtJob | ConfirmSubscription | None:
        """Read a callback; nothing is called."""
        return self._inner.read_callback(envelope)

    def _call(self, name: str, verb: Verb, call: Callable[[], Result]) -> Result:
        had_problem = self._await_turn(verb)
        began_at = time.monotonic()
        try:
            result = call()
        except ProviderError as error:
            self._count(name, known_code(error.code), began_at)
            self._note(error)
            raise
        self._count(name, "ok", began_at)
        if had_problem:
            with session_of(self._engine) as session:
                account_states.clear_problem(session, self.name)
        return result

    def _count(self, call: str, result: str, began_at: float) -> None:
        """Count a call; the answer is worth more than its count, so a failure is logged only."""
        took_sec = time.monotonic() - began_at
        try:
            with reading_session(self._engine) as session:
                provider_calls.count_call(session, self.name, call, result, took_sec)
        except DATABASE_AWAY as error:
            log.warning("provider_call_not_counted", error=type(error).__name__)

    def _await_turn(self, verb: Verb) -> bool:
        """Wait for the account's turn; return true if the vendor refused the account before.

        Raises:
            RefusedForNow: The turn is too far away to wait for it here, or an operator has
                disabled the account.
        """
        rate = self.capabilities.pace.get(verb)
        with session_of(self._engine) as session:
            turn = account_states.take_turn(
                session, self.name, verb, rate, most_wait_sec=MOST_WAIT_SEC
            )
        if turn.is_disabled:
            message = "the account is disabled"
            raise RefusedForNow("provider_busy", message, retry_after_sec=LOOK_AGAIN_SEC)
        if turn.wait_sec > MOST_WAIT_SEC:
            message = f"the account's turn is in {turn.wait_sec:.0f} s"
            raise RefusedForNow("provider_busy", message)
        if turn.wait_sec > 0:
            self._sleep(turn.wait_sec)
        return turn.has_problem

    def _note(self, error: ProviderError) -> None:
        is_problem = isinstance(error, AccountProblem)
        if error.retry_after_sec is None and not is_problem:
            return
        with session_of(self._engine) as session:
            if error.retry_after_sec is not None and error.code not in ABOUT_ONE_JOB:
                account_states.pause(session, self.name, error.retry_after_sec)
            if is_problem:
                account_states.record_problem(session, self.name, str(error))
