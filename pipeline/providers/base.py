"""Boundary to the providers of video processing: one Protocol, one module for each adapter.

An adapter turns the vendor's words into ours, and the vendor's errors into the five kinds of
``ProviderError``. It keeps no state, opens no transaction and never retries: the pipeline does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Protocol
from uuid import UUID

from pipeline.domain.values import (
    CallbackEnvelope,
    ConfirmSubscription,
    JobRef,
    ListedJob,
    LookAtJob,
    Phase,
    Profile,
    ProviderStatus,
    Rate,
    SignedCallback,
    SubmitRequest,
    Submitted,
    Verb,
)
from pipeline.runtime.ids import read_id


class CallbackUnreadable(Exception):
    """The signature is valid, but the body does not follow the provider's documentation."""


@dataclass(frozen=True)
class Capabilities:
    """Capabilities of an account, and the habits of its vendor.

    Attributes:
        idempotent_submit: Repeating ``submit`` with the same attempt id makes no second job.
        margin_sec: Time after a call without an answer in which its job may still appear.
        writes_to_our_storage: Its outputs lie below the prefixes of the request.
        signed_playback: Its outputs can be restricted to viewers with a right.
        caps: The values of ``max_profile`` that it obeys; empty for none.
        max_duration_sec: Longest source; None for no limit. So is ``max_bytes``.
        containers: Containers of sources that it takes; empty for any.
        polls_first: Its callbacks do not tell every end of a job, so it is asked often.
        poll_least_sec: Least seconds between two polls of a job; None takes the setting.
        pace: Most calls by verb; a verb without an entry has no limit.
        max_jobs: Jobs that may be under way at once; None for no limit.
        names_losses: Its reports name every difference of the outputs from their source. Those of
            other accounts are read from the manifest.
        bills_failures: A job that failed may cost money.
    """

    idempotent_submit: bool
    margin_sec: float
    writes_to_our_storage: bool = False
    signed_playback: bool = False
    caps: frozenset[Profile] = frozenset()
    max_duration_sec: float | None = None
    max_bytes: int | None = None
    containers: frozenset[str] = frozenset()
    polls_first: bool = False
    poll_least_sec: float | None = None
    pace: Mapping[Verb, Rate] = field(default_factory=dict)
    max_jobs: int | None = None
    names_losses: bool = False
    bills_failures: bool = True

    @property
    def signs_addresses(self) -> bool:
        """True if the adapter adds the right to read an address; our own storage does it itself."""
        return self.signed_playback and not self.writes_to_our_storage


@dataclass(frozen=True)
class Trust:
    """Limits of the trust in an account. The defaults are the narrowest.

    Attributes:
        output_hosts: Hosts that its outputs may lie on, beside our own storage. ``*.example.com``
            stands for every host below ``example.com``.
        callback_sources: Networks that its callbacks may come from; empty for any, because the
            signature decides.
        document_hosts: Hosts of the documents that verify its callbacks, such as certificates.
    """

    output_hosts: frozenset[str] = frozenset()
    callback_sources: tuple[IPv4Network | IPv6Network, ...] = ()
    document_hosts: frozenset[str] = frozenset()


class OutputKind(StrEnum):
    """Kinds of addresses that a viewer is given, for ``Provider.sign``."""

    MANIFEST = "manifest"
    FALLBACK = "fallback"
    POSTER = "poster"
    THUMBNAIL = "thumbnail"
    STORYBOARD = "storyboard"


class Provider(Protocol):
    """One configured account at one provider."""

    @property
    def name(self) -> str:
        """The configured name of the account; it is in URLs and rows."""

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of the account."""

    @property
    def trust(self) -> Trust:
        """Limits of the trust in this account."""

    def submit(self, request: SubmitRequest) -> Submitted:
        """Submit the job of one attempt.

        Raises:
            ProviderError: any of its five kinds.
        """

    def advance(self, job: JobRef, follow_up: str) -> None:
        """Make the follow-up call that the last report of this job asked for.

        Repeating it has no further effect.

        Raises:
            ProviderError: any kind but ``UnknownOutcome``, since it may be repeated.
        """

    def find(self, job: JobRef) -> ProviderStatus | None:
        """Look a job up by our attempt's id; None if the provider has no such job.

        Args:
            job: A list is read back to its ``intended_at`` and no further.

        Raises:
            ProviderError: the provider gave no answer; never ``UnknownOutcome``.
        """

    def fetch(self, job: JobRef) -> ProviderStatus | None:
        """Fetch the state of a job; None if the provider no longer has it.

        Raises:
            ProviderError: the provider gave no answer; never ``UnknownOutcome``.
        """

    def cancel(self, job: JobRef) -> None:
        """Cancel a job and delete its outputs at the provider.

        A job that is unknown or has ended counts as cancelled.

        Raises:
            ProviderError: the provider gave no answer; never ``UnknownOutcome``.
        """

    def list_since(self, instant: datetime) -> Iterator[ListedJob]:
        """Yield the jobs that the provider has and bills, made at ``instant`` or later.

        Raises:
            ProviderError: the provider gave no answer; never ``UnknownOutcome``.
        """

    def sign(self, address: str, kind: OutputKind, until: datetime) -> str:
        """Return the address with the right to read it until an instant.

        Raises:
            NotImplementedError: the account has no ``signed_playback``.
        """

    def documents_for(self, envelope: CallbackEnvelope) -> Sequence[str]:
        """Return the URLs of documents that the verification of a callback needs.

        They are fetched from the account's ``document_hosts`` only, and kept for a while. A
        callback whose documents cannot be fetched is refused.
        """

    def verify_callback(
        self, envelope: CallbackEnvelope, secrets: Sequence[str], now: datetime
    ) -> SignedCallback:
        """Check the signature over the raw body.

        Args:
            secrets: The account's active secrets; each of them is tried.

        Raises:
            SignatureRejected: with the reason, for the audit.
        """

    def read_callback(
        self, envelope: CallbackEnvelope
    ) -> ProviderStatus | LookAtJob | ConfirmSubscription | None:
        """Turn a verified callback into our words; None for an event that we do not use.

        Raises:
            CallbackUnreadable: the body does not follow the provider's documentation.
        """


class SimpleProvider:
    """The parts of a ``Provider`` that an adapter may leave out; it inherits them from here."""

    def advance(self, job: JobRef, follow_up: str) -> None:
        """Refuse: no report asks for a follow-up call."""
        raise NotImplementedError(f"{follow_up} of {job.attempt_id}")

    def list_since(self, instant: datetime) -> Iterator[ListedJob]:
        """Yield nothing: the provider bills no job."""
        del instant
        yield from ()

    def sign(self, address: str, kind: OutputKind, until: datetime) -> str:
        """Refuse: every reader may read the outputs, or our own storage signs their addresses."""
        raise NotImplementedError(f"{kind} at {address} until {until}")

    def documents_for(self, envelope: CallbackEnvelope) -> Sequence[str]:
        """Return nothing: the secrets suffice."""
        del envelope
        return ()


@dataclass(frozen=True)
class SecretFormat:
    """The form of an adapter's callback secrets.

    Attributes:
        check: Raises ``SecretMalformed`` for a text that cannot be a secret.
        make: Makes a new one; None if the vendor does.
    """

    check: Callable[[str], None]
    make: Callable[[], str] | None = None


@dataclass(frozen=True)
class Opening:
    """The facts from which an adapter opens an account.

    Attributes:
        settings: The adapter's own class of ``AccountSettings``.
        timeout_sec: Longest call.
        tolerance_sec: Largest difference of a callback's time from ours.
    """

    name: str
    settings: Any
    timeout_sec: float
    tolerance_sec: int


@dataclass(frozen=True)
class Adapter:
    """An adapter's declaration: each adapter module has one, named ``ADAPTER``.

    Attributes:
        settings: The settings of an account, a class of ``AccountSettings``.
        open: Makes an account's ``Provider``.
        secrets: The form of its callback secrets.
    """

    settings: type[Any]
    open: Callable[[Opening], Provider]
    secrets: SecretFormat


def echoed_id(text: str | None) -> UUID | None:
    """Return our attempt's id in a text that the vendor echoes; None if it holds no id."""
    try:
        return read_id(text) if text else None
    except ValueError:
        return None


def percent_of(value: float | None) -> float | None:
    """Return a percent of a vendor within 0 to 100; None for one that it does not know."""
    return None if value is None or value < 0 else min(value, 100.0)


def failed(code: str, message: str, *, retryable: bool) -> Mapping[str, Any]:
    """Return the members of a ``ProviderStatus`` of a job that ended without outputs."""
    return {
        "phase": Phase.FAILED,
        "error_code": code,
        "error_message": message,
        "retryable": retryable,
    }
