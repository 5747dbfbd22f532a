"""What can go wrong, as types.

KhronikaError
├── DomainError                 the caller asked for something that cannot be; has a ``code``
│   ├── NotFound                post_not_found, upload_not_found, unknown_provider
│   ├── Forbidden               post_not_claimed
│   ├── Conflict                post_has_asset, not_failed, status_changed, upload_incomplete, …
│   ├── Unprocessable           a well-formed request that means nothing we can do
│   ├── TooLarge                source_too_large
│   ├── LimitReached            too_many_in_flight, quota_exceeded, …; carries ``retry_after_sec``
│   └── SignatureInvalid        a callback whose signature does not hold
├── StaleTransition             the row moved on since it was read: the writer's view is stale
├── IllegalTransition           an edge that does not exist: a bug in the caller
└── ProviderError               what an adapter may raise
    ├── TransientProviderError  may pass; carries ``retry_after_sec``
    ├── TerminalProviderError   will not pass
    └── UnknownOutcome          the call may or may not have taken effect: look it up

A class's docstring is its message for people.
"""

from typing import Any


class KhronikaError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class DomainError(KhronikaError):
    """The request cannot be fulfilled.

    Attributes:
        code: Machine-readable reason, stable.
        extra: Further members of the answer, such as the current state on a conflict.
    """

    def __init__(self, code: str, message: str | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.code = code
        self.extra = extra


class NotFound(DomainError):
    """There is nothing here that you can see."""


class Forbidden(DomainError):
    """You may not do this."""


class Conflict(DomainError):
    """The current state does not allow this."""


class Unprocessable(DomainError):
    """The request was understood but cannot be carried out."""


class TooLarge(DomainError):
    """The content is larger than allowed."""


class LimitReached(DomainError):
    """You have as much as you may have for now.

    Attributes:
        retry_after_sec: When it is worth asking again.
    """

    def __init__(
        self, code: str, message: str | None = None, *, retry_after_sec: int, **extra: Any
    ) -> None:
        super().__init__(code, message, **extra)
        self.retry_after_sec = retry_after_sec


class SignatureInvalid(DomainError):
    """The signature of the callback does not hold."""


class StaleTransition(KhronikaError):
    """The asset moved on since it was read; nothing was written."""


class IllegalTransition(KhronikaError):
    """There is no such edge between states."""


class ProviderError(KhronikaError):
    """The provider's call failed.

    Attributes:
        code: One of ``pipeline.domain.failures.FAILURES``.
        request_id: The provider's own id of the request, when it gave one.
    """

    def __init__(self, code: str, message: str, *, request_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


class TransientProviderError(ProviderError):
    """The provider cannot take the job now.

    Attributes:
        retry_after_sec: The provider's hint, in seconds.
        held: True when the provider refused before taking the job (429, 503, no space): the asset
            waits without spending its retry budget.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        request_id: str | None = None,
        retry_after_sec: float | None = None,
        held: bool = False,
    ) -> None:
        super().__init__(code, message, request_id=request_id)
        self.retry_after_sec = retry_after_sec
        self.held = held


class TerminalProviderError(ProviderError):
    """The provider will never take this job as it is."""


class UnknownOutcome(ProviderError):
    """Whether the provider took the job is unknown."""
