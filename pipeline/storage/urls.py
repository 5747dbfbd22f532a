"""Parser of storage URLs; it connects to nothing."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pipeline.storage.base import KeyRefused, check_key

_OPTIONS = frozenset({"endpoint", "region"})


class StorageUrlInvalid(ValueError):
    """The storage URL names no usable storage."""


@dataclass(frozen=True)
class Credentials:
    """Credentials for an S3 storage."""

    key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class S3Place:
    """A bucket or a folder in it, at AWS or another service.

    Attributes:
        prefix: Ends in a slash, or is empty.
        endpoint: Address of the service; None for AWS.
        region: None for the region of the environment.
    """

    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None


def folder_of(parts: SplitResult) -> Path:
    """Return the folder of a `file:` URL.

    Raises:
        StorageUrlInvalid: see `open_storage`.
    """
    if parts.netloc or not parts.path.startswith("/"):
        raise StorageUrlInvalid("file: takes an absolute folder and no host: file:///folder")
    if parts.query or parts.fragment:
        raise StorageUrlInvalid("a file: URL takes no query and no fragment; quote ? and #")
    return Path(unquote(parts.path))


def bucket_of(parts: SplitResult) -> S3Place:
    """Return the bucket of an `s3:` URL.

    Raises:
        StorageUrlInvalid: see `open_storage`.
    """
    if "@" in parts.netloc:
        raise StorageUrlInvalid("credentials do not belong in a URL: they have their own settings")
    if not parts.netloc or ":" in parts.netloc or parts.fragment:
        raise StorageUrlInvalid("s3: names a bucket: s3://bucket/prefix?endpoint=…&region=…")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not options.keys() <= _OPTIONS or not all(options.values()):
        raise StorageUrlInvalid("an s3: URL takes endpoint and region, and nothing else")
    prefix = unquote(parts.path).strip("/")
    try:
        prefix = f"{check_key(prefix)}/" if prefix else ""
    except KeyRefused as error:
        raise StorageUrlInvalid(f"the prefix cannot be one: {error}") from error
    return S3Place(parts.netloc, prefix, _endpoint(options.get("endpoint")), options.get("region"))


def _endpoint(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise StorageUrlInvalid("endpoint is the service's http(s) address, without credentials")
    return url
