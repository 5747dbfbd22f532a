"""From the URL in a setting to the driver it names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.storage.base import Storage
from pipeline.storage.local import LocalStorage


class StorageUrlInvalid(ValueError):
    """The storage URL names no place that can be used."""


def open_storage(url: str) -> Storage:
    """Open the storage at a URL: `file:///an/absolute/folder`.

    Raises:
        StorageUrlInvalid: another scheme, a host, or a folder that is not absolute. The URL is
            not quoted, as it may hold credentials.
        OSError: the folder cannot be made.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        raise StorageUrlInvalid("s3:// storage is not supported yet; use file:///folder")
    if parts.scheme != "file":
        raise StorageUrlInvalid("a storage URL begins with file:///")
    if parts.netloc or not parts.path.startswith("/"):
        raise StorageUrlInvalid("file: takes an absolute folder and no host: file:///folder")
    if parts.query or parts.fragment:
        raise StorageUrlInvalid("a file: URL takes no query and no fragment; quote ? and #")
    return LocalStorage(Path(unquote(parts.path)))
