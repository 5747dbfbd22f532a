"""How an encode can end without a result.

EncodeError
├── EncodeFailed        a code of the provider's vocabulary, and whether trying again may help
└── EncodeCancelled     somebody asked us to stop
"""


class EncodeError(Exception):
    """The encode ended without a result."""


class EncodeFailed(EncodeError):
    """The encode ended with a reason.

    Attributes:
        code: Machine code reported to the client, such as `source_corrupt` or `stalled`.
        detail: One sentence for a person.
        retryable: Whether the same job may succeed later.
        signature: What identifies this failure when it happens again; empty when repetition
            says nothing (a crash, a stall).
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
