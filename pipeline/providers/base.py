"""Boundary to the providers of video processing: one Protocol, one module for each adapter.

An adapter turns the vendor's words into ours and the vendor's errors into
``TransientProviderError``, ``TerminalProviderError`` or ``UnknownOutcome``. It keeps no state,
opens no transaction and never retries: the pipeline retries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol
from uuid import UUID

from pipeline.domain.values import ProviderStatus, SignedCallback, SubmitRequest, Submitted


class CallbackUnreadable(Exception):
    """The signature is valid, but the body does not follow the provider's documentation."""


@dataclass(frozen=True)
class Capabilities:
    """Capabilities of a provider.

    Attributes:
        idempotent_submit: Repeating ``submit`` with the same attempt id makes no second job.
        margin_sec: Time after a call without an answer in which its job may still appear.
        protects_outputs: Its outputs can be restricted to viewers with a right: it writes to our
            storage, under the prefixes of the request.
        caps_profile: It makes no rendition above the ``max_profile`` of a request.
    """

    idempotent_submit: bool
    margin_sec: float
    protects_outputs: bool = False
    caps_profile: bool = False


@dataclass(frozen=True)
class Trust:
    """Limits of the trust in an account, by its settings. The defaults are the narrowest.

    Attributes:
        output_hosts: Hosts that its outputs may lie on, beside our own storage.
        callback_sources: Networks that its callbacks may come from; empty for any, because the
            signature decides.
    """

    output_hosts: frozenset[str] = frozenset()
    callback_sources: tuple[IPv4Network | IPv6Network, ...] = ()


class Provider(Protocol):
    """One configured account at one provider."""

    @property
    def name(self) -> str:
        """The configured name of the account; it is in URLs and rows."""

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of the provider."""

    @property
    def trust(self) -> Trust:
        """Limits of the trust in this account."""

    def submit(self, request: SubmitRequest) -> Submitted:
        """Submit the job of one attempt.

        Raises:
            TransientProviderError: the provider did not take the job; a later try may succeed.
            TerminalProviderError: the provider will never take the job.
            UnknownOutcome: the job may exist; ``find`` looks it up.
        """

    def find(self, attempt_id: UUID) -> ProviderStatus | None:
        """Look a job up by our attempt's id; None if the provider has no such job.

        Raises:
            TransientProviderError: the provider gave no answer.
        """

    def fetch(self, attempt_id: UUID, provider_job_id: str) -> ProviderStatus | None:
        """Fetch the state of a job; None if the provider no longer has it.

        Raises:
            TransientProviderError: the provider gave no answer.
        """

    def cancel(self, attempt_id: UUID, provider_job_id: str | None) -> None:
        """Cancel a job; a job that is unknown or has ended counts as cancelled.

        Raises:
            TransientProviderError: the provider gave no answer.
        """

    def verify_callback(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> SignedCallback:
        """Check the signature over the raw body.

        Args:
            secrets: The account's active secrets; each of them is tried.

        Raises:
            SignatureRejected: with the reason, for the audit.
        """

    def read_callback(self, body: bytes) -> ProviderStatus | None:
        """Turn a verified body into our words; None for an event that the pipeline does not use.

        Raises:
            CallbackUnreadable: the body does not follow the provider's documentation.
        """
