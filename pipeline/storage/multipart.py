"""Protocol of objects that arrive in parts, in any order and several at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Multipart:
    """An object that arrives in parts.

    Attributes:
        key: Key of the object after its completion.
        id: The driver's own name of the upload.
    """

    key: str
    id: str


@dataclass(frozen=True)
class Part:
    """A part that is completely stored.

    Attributes:
        number: Number of the part, from 1.
        etag: Version of the content, unquoted; another one for other content of the same part.
    """

    number: int
    size_bytes: int
    etag: str


@dataclass(frozen=True)
class SignedRequest:
    """A request that its holder may make for a while, without other credentials.

    Attributes:
        url: Address with the signature, which is a secret until it expires; never log it.
        headers: Headers to send with it, unchanged.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str]


class TakesParts(Protocol):
    """Driver of parts. The caller that completes an upload names its parts.

    Every method may raise `OSError`.
    """

    def start_multipart(self, key: str) -> Multipart:
        """Open an object that will arrive in parts; it is not readable before its completion.

        `remove_unfinished` removes it if it is neither completed nor aborted in time.
        """
        ...

    def put_part(
        self, multipart: Multipart, number: int, offset: int, chunks: Iterable[bytes]
    ) -> Part:
        """Store one part; replace an earlier one of that number.

        Safe to repeat. Of several concurrent calls one wins, with its whole content. Exceptions of
        `chunks` pass through, and nothing of the part is kept.

        Args:
            multipart: The object.
            number: Number of the part, from 1.
            offset: Offset of the part in the object.
            chunks: Content, not empty; at most 5 GiB, and at least 5 MiB except for the last part
                (S3's limits).

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
        """Sign a request by which a client stores one part; None if the driver has no server.

        The signature covers the size and, if given, the digest. The answer to the request has the
        part's `ETag`.

        Args:
            multipart: The object.
            number: Number of the part, from 1.
            size_bytes: Exact size of the part.
            md5: Digest of the content, in base64, as in `Content-MD5` (RFC 1864); None if unknown.
            expires_sec: Life of the signature.
        """
        ...

    def list_parts(self, multipart: Multipart, *, only: int | None = None) -> Sequence[Part] | None:
        """Describe the stored parts, by number; None if this server cannot list them.

        Args:
            multipart: The object.
            only: Number of the only part to describe; None for all parts.

        Raises:
            PartsRefused: there is no such multipart upload.
        """
        ...

    def complete_multipart(self, multipart: Multipart, parts: Sequence[Part]) -> None:
        """Make the object of its parts in one step; safe to repeat.

        Args:
            multipart: The object.
            parts: All its parts, by number.

        Raises:
            PartsRefused: a part is missing, or the upload was aborted.
        """
        ...

    def abort_multipart(self, multipart: Multipart) -> None:
        """Remove the parts; do nothing if the upload was completed or aborted before."""
        ...
