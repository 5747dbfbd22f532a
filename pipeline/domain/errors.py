"""Errors of the domain, as types.

KhronikaError
├── DomainError                 a request that cannot be fulfilled; has a ``code``
│   ├── NotFound                post_not_found, upload_not_found, unknown_provider
│   ├── Forbidden               post_not_claimed, not_enrolled
│   ├── Conflict                post_has_asset, not_failed, status_changed, upload_incomplete, …
│   ├── Busy                    upload_in_check; has ``retry_after_sec``
│   ├── Unprocessable           a well-formed request that cannot be carried out
│   ├── TooLarge                source_too_large
│   ├── LimitReached            too_many_in_flight, quota_exceeded, …; has ``retry_after_sec``
│   └── SignatureInvalid        a callback with a wrong signature
├── StaleTransition             the row changed after the writer had read it
├── IllegalTransition           an edge that does not exist: a bug in the caller
└── ProviderError               the errors of an adapter; has ``retry_after_sec``
    ├── RefusedForNow           the provider is busy: ask later, at no cost to the retry budget
    ├── TransientProviderError  a new attempt may succeed
    ├── AccountProblem          the provider refuses the account itself, whatever the job
    ├── TerminalProviderError   a new attempt at this provider would fail too
    └── UnknownOutcome          the call may have taken effect: look the job up

The first line of a class's docstring is its message for people.
"""

from typing import Any


class KhronikaError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").partition("\n")[0])


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
    """It does not exist, or you have no access to it."""


class Forbidden(DomainError):
    """You have no right to do this."""


class Conflict(DomainError):
    """The current state does not allow this."""


class Busy(DomainError):
    """The same work is going on already; ask again for its result.

    Attributes:
        retry_after_sec: Seconds until it may have ended.
    """

    def __init__(self, code: str, message: str | None = None, *, retry_after_sec: int) -> None:
        super().__init__(code, message)
        self.retry_after_sec = retry_after_sec


class Unprocessable(DomainError):
    """The request is well-formed but cannot be carried out."""


class TooLarge(DomainError):
    """The content is larger than allowed."""


class LimitReached(DomainError):
    """You have reached a limit for now.

    Attributes:
        retry_after_sec: Seconds until the limit may have room again.
    """

    def __init__(
        self, code: str, message: str | None = None, *, retry_after_sec: int, **extra: Any
    ) -> None:
        super().__init__(code, message, **extra)
        self.retry_after_sec = retry_after_sec


class SignatureInvalid(DomainError):
    """The signature of the callback is not valid."""


class StaleTransition(KhronikaError):
    """The asset changed after it was read; nothing was written."""


class IllegalTransition(KhronikaError):
    """No such edge exists between states."""


class ProviderError(KhronikaError):
    """The provider's call failed.

    Attributes:
        code: One of ``pipeline.domain.failures.FAILURES``.
        request_id: The provider's own id of the request; None if it gave none.
        retry_after_sec: Seconds until the provider wants to be called again; None if it did not
            say. It holds for the whole account.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        request_id: str | None = None,
        retry_after_sec: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id
        self.retry_after_sec = retry_after_sec

    @property
    def traceable(self) -> str:
        """The message with the provider's id of the request, for the log of a call."""
        return f"{self} (request {self.request_id})" if self.request_id else str(self)


class RefusedForNow(ProviderError):
    """The provider has no room for the call now (429, 503, no space).

    It answered, so this is no outage. It did not take the job.
    """


class TransientProviderError(ProviderError):
    """The provider did not take the job, and a later try may succeed."""


class AccountProblem(ProviderError):
    """The provider refuses the account: credentials, rights or payment (401, 402, 403)."""


class TerminalProviderError(ProviderError):
    """The provider will never take this job in this form."""


class UnknownOutcome(ProviderError):
    """The provider may or may not have taken the job."""
