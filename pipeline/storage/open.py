"""Opener of the storage that a URL names."""

from urllib.parse import urlsplit

from pipeline.storage.base import Storage
from pipeline.storage.local import LocalStorage
from pipeline.storage.urls import Credentials, StorageUrlInvalid, bucket_of, folder_of


def open_storage(url: str, credentials: Credentials | None = None) -> Storage:
    """Open the storage at a URL; nothing is read or written yet.

    Args:
        url: `file:///an/absolute/folder`, or `s3://bucket/prefix?endpoint=…&region=…`, in which
            only the bucket is required.
        credentials: Credentials for S3; None for boto3's own search.

    Raises:
        StorageUrlInvalid: it is neither. The message omits the URL, which may hold credentials.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        place = bucket_of(parts)
        # The SDK takes 0.2 s and 30 MB, which a storage in a folder does not need.
        from pipeline.storage.s3 import S3Storage  # noqa: PLC0415

        return S3Storage(place, credentials)
    if parts.scheme != "file":
        raise StorageUrlInvalid("a storage URL begins with file:/// or s3://")
    return LocalStorage(folder_of(parts))
