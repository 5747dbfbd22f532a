"""Objects that arrive in parts, in any order and several at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Multipart:
    """An object that arrives in parts, in any order and several at once.

    Attributes:
        key: Under which it will be readable once it has been completed.
        id: The driver's own name of it.
    """

    key: str
    id: str


@dataclass(frozen=True)
class Part:
    """A part that is there, whole.

    Attributes:
        number: Its place, from 1.
        etag: Names the content, unquoted: another content of the same part has another one.
    """

    number: int
    size_bytes: int
    etag: str


@dataclass(frozen=True)
class SignedRequest:
    """A request that whoever holds it may make, for a while.

    Attributes:
        url: Carries the signature: a secret until it expires, so never in a log.
        headers: What has to be sent with it, exactly.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str]


class TakesParts(Protocol):
    """What a driver does with parts. Whoever completes an upload says which parts it is made of.

    Every method may raise `OSError`, and those that say so `PartsRefused`.
    """

    def start_multipart(self, key: str) -> Multipart:
        """Open an object that will arrive in parts. Nobody reads any of it before it is completed.

        One that is neither completed nor aborted is in time removed by `remove_unfinished`.
        """
        ...

    def put_part(
        self, multipart: Multipart, number: int, offset: int, chunks: Iterable[bytes]
    ) -> Part:
        """Store one part, in the place of an earlier one of that number.

        Safe to repeat, and for several at once: one of them wins, whole. What `chunks` raises
        passes through and nothing of it is kept.

        Args:
            multipart: Of which object.
            number: From 1.
            offset: Where in the object the part begins.
            chunks: Its content, not empty; at most 5 GiB, and but for the last part at least
                5 MiB (S3's bounds).

        Raises:
            PartsRefused: the multipart upload has been completed or aborted.
        """
        ...

    def presign_part(
        self,
        multipart: Multipart,
        number: int,
        *,
        size_bytes: int,
        md5: str | None,
        expires_sec: int,
    ) -> SignedRequest | None:
        """Let somebody else store one part directly; None if the driver takes parts only from us.

        The size, and the digest if there is one, are part of what is signed. The answer to the
        request has the part's `ETag`.

        Args:
            multipart: Of which object.
            number: From 1.
            size_bytes: Exactly how many bytes may be sent.
            md5: Of the content, in base64, as in `Content-MD5` (RFC 1864); None if unknown.
            expires_sec: How long the request may be made.
        """
        ...

    def list_parts(self, multipart: Multipart, *, only: int | None = None) -> Sequence[Part] | None:
        """Describe the parts that are there, by number; None if this server cannot.

        Args:
            multipart: Of which object.
            only: The number of the one that is asked about; None for all.

        Raises:
            PartsRefused: there is no such multipart upload.
        """
        ...

    def complete_multipart(self, multipart: Multipart, parts: Sequence[Part]) -> None:
        """Make the object of its parts, in one step; safe to repeat.

        Args:
            multipart: Of which object.
            parts: Every one of them, by number.

        Raises:
            PartsRefused: one of them is not there any more, or the upload was aborted.
        """
        ...

    def abort_multipart(self, multipart: Multipart) -> None:
        """Remove the parts; does nothing where it was completed or aborted before."""
        ...
