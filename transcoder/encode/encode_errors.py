"""Errors that end an encode without a result.

EncodeError
├── EncodeFailed        has a code of the provider's vocabulary, and is retryable or not
└── EncodeCancelled     the client cancelled the job, or another worker took it over
"""


class EncodeError(Exception):
    """The encode ended without a result."""


class EncodeFailed(EncodeError):
    """The encode ended with a reason.

    Attributes:
        code: Machine code reported to the client, such as `source_corrupt` or `stalled`.
        detail: One sentence for a person.
        retryable: True if the same job may succeed later.
        signature: Text that is the same when the failure is repeated; empty for a failure whose
            repetition proves nothing (a crash, a stall).
    """

    def __init__(
        self, code: str, detail: str, *, retryable: bool = False, signature: str = ""
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.retryable = retryable
        self.signature = signature


class EncodeCancelled(EncodeError):
    """The encode was stopped on request; its ffmpeg is gone."""
