"""From the URL in a setting to the driver it names."""

from urllib.parse import urlsplit

from pipeline.storage.base import Storage
from pipeline.storage.local import LocalStorage
from pipeline.storage.urls import Credentials, StorageUrlInvalid, bucket_of, folder_of


def open_storage(url: str, credentials: Credentials | None = None) -> Storage:
    """Open the storage at a URL.

    Args:
        url: `file:///an/absolute/folder`, or `s3://bucket/prefix?endpoint=…&region=…`, where all
            but the bucket may be left out.
        credentials: For S3; None for what boto3 finds by itself.

    Raises:
        StorageUrlInvalid: it is neither. The URL is not quoted, as it may hold credentials.
        OSError: the folder cannot be made. A bucket is not connected to yet.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        place = bucket_of(parts)
        # The SDK takes 0.2 s and 30 MB: nothing for those who have a folder.
        from pipeline.storage.s3 import S3Storage  # noqa: PLC0415

        return S3Storage(place, credentials)
    if parts.scheme != "file":
        raise StorageUrlInvalid("a storage URL begins with file:/// or s3://")
    return LocalStorage(folder_of(parts))
