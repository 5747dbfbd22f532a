"""The boundary to whoever processes video: one Protocol, one module for each provider.

An adapter turns the vendor's words into ours and the vendor's errors into
``TransientProviderError``, ``TerminalProviderError`` or ``UnknownOutcome``. It keeps no state,
opens no transaction, and never retries: retrying is the pipeline's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol
from uuid import UUID

from pipeline.domain.values import ProviderStatus, SignedCallback, SubmitRequest, Submitted


class CallbackUnreadable(Exception):
    """The signature holds, but the body is not what this provider documents."""


@dataclass(frozen=True)
class Capabilities:
    """What a provider can do.

    Attributes:
        idempotent_submit: Repeating ``submit`` with the same attempt id makes no second job.
        margin_sec: How long after a call ended without an answer its job may still appear.
        protects_outputs: What it makes can be kept from those without a right to it: it writes to
            our storage, under the prefixes it is given.
        caps_profile: It makes no rendition above the ``max_profile`` of a request.
    """

    idempotent_submit: bool
    margin_sec: float
    protects_outputs: bool = False
    caps_profile: bool = False


@dataclass(frozen=True)
class Trust:
    """How far an account is believed, by its settings. The narrowest where nothing is said.

    Attributes:
        output_hosts: Hosts that what it made may lie on, beside our own storage.
        callback_sources: Networks its callbacks may come from; empty for any, since the signature
            is what counts.
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
        """What it can do."""

    @property
    def trust(self) -> Trust:
        """How far it is believed."""

    def submit(self, request: SubmitRequest) -> Submitted:
        """Ask for one attempt to be processed.

        Raises:
            TransientProviderError: not now.
            TerminalProviderError: not ever.
            UnknownOutcome: the job may exist; ``find`` will tell.
        """

    def find(self, attempt_id: UUID) -> ProviderStatus | None:
        """Look a job up by our attempt's id; None when the provider knows of none.

        Raises:
            TransientProviderError: the provider did not say.
        """

    def fetch(self, attempt_id: UUID, provider_job_id: str) -> ProviderStatus | None:
        """Ask how a job stands; None when the provider no longer knows it.

        Raises:
            TransientProviderError: the provider did not say.
        """

    def cancel(self, attempt_id: UUID, provider_job_id: str | None) -> None:
        """Give a job up; a job that is unknown or has ended counts as given up.

        Raises:
            TransientProviderError: the provider did not say.
        """

    def verify_callback(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> SignedCallback:
        """Check the signature over the raw body.

        Args:
            secrets: The account's active ones; every one of them is tried.

        Raises:
            SignatureRejected: with the reason, for the audit.
        """

    def read_callback(self, body: bytes) -> ProviderStatus | None:
        """Turn a verified body into our words; None for events that mean nothing to us.

        Raises:
            CallbackUnreadable: the body is not what the provider documents.
        """
