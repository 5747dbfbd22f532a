"""Client of an S3-compatible service: its timeouts and the translation of its errors."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.storage.base import ObjectMissing, PartsRefused
from pipeline.storage.urls import Credentials, S3Place

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_TIMEOUT_SEC = 3.0
READ_TIMEOUT_SEC = 20.0
"""Longest time between two bytes. A write of 8 MiB takes this long at 3.4 Mbit/s, far below the
bandwidth of a server."""
ATTEMPTS = 3
CONNECTIONS = 32
"""Connections that are kept for their next use. A web process has more threads: one that finds
none free opens a connection of its own, which is closed after its request."""
FALLBACK_REGION = "us-east-1"  # services without regions expect it in a signature

_UNSUPPORTED = frozenset({"NotImplemented", "MethodNotAllowed", "501", "405"})
_FORBIDDEN = frozenset({"AccessDenied", "403"})
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_PARTS_REFUSED = frozenset(
    {"NoSuchUpload", "InvalidPart", "InvalidPartOrder", "EntityTooSmall", "InvalidUploadId"}
)


for _name in ("boto3", "botocore", "s3transfer"):
    # At DEBUG they log requests with signatures that a reader of the log could use.
    logging.getLogger(_name).setLevel(logging.INFO)


class S3Trouble(OSError):
    """The service failed; a later try may succeed.

    The message has only the operation and the error's code: the service's own text may name keys.

    Attributes:
        code: Error code of the service, or the class of the SDK's exception.
    """

    def __init__(self, operation: str, code: str) -> None:
        super().__init__(f"S3 {operation}: {code}")
        self.code = code

    @property
    def is_unsupported(self) -> bool:
        """True if this server lacks the operation; many implement a part of the protocol."""
        return self.code in _UNSUPPORTED

    @property
    def is_forbidden(self) -> bool:
        """True if our credentials do not cover the operation."""
        return self.code in _FORBIDDEN


def connect(place: S3Place, credentials: Credentials | None) -> "S3Client":
    """Make a client; it connects at its first use, and threads may share it.

    Args:
        place: The bucket and its service.
        credentials: None for boto3's own search: its variables, its files, the machine's role.
    """
    session = boto3.session.Session()
    return session.client(
        "s3",
        endpoint_url=place.endpoint,
        region_name=place.region or session.region_name or FALLBACK_REGION,
        aws_access_key_id=credentials.key_id if credentials else None,
        aws_secret_access_key=credentials.secret if credentials else None,
        config=Config(
            signature_version="s3v4",
            connect_timeout=CONNECT_TIMEOUT_SEC,
            read_timeout=READ_TIMEOUT_SEC,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            max_pool_connections=CONNECTIONS,
            # Since 1.36 boto3 adds checksums that only AWS knows.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            # Services other than AWS often lack a DNS name for each bucket.
            s3={"addressing_style": "path" if place.endpoint else "auto"},
        ),
    )


def origins_of(service: str, place: S3Place) -> frozenset[str]:
    """Return the origins of a bucket's signed addresses and of their redirects.

    AWS has a DNS name for each bucket; a bucket whose name DNS cannot hold has the service's
    address. Addresses are signed for the name without a region, which redirects to the name with
    the region until DNS is updated.

    Args:
        service: Address of the client's service.
        place: The bucket.
    """
    if place.endpoint:
        return frozenset({service})
    named = service.replace("://", f"://{place.bucket}.")
    return frozenset({service, named, f"https://{place.bucket}.s3.amazonaws.com"})


@contextmanager
def translating_errors(operation: str) -> Iterator[None]:
    """Translate the SDK's errors.

    Raises:
        ObjectMissing, PartsRefused: the service's error code says so.
        S3Trouble: any other error.
    """
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        if code in _MISSING:
            raise ObjectMissing(operation) from error
        if code in _PARTS_REFUSED:
            raise PartsRefused(f"S3 {operation}: {code}") from error
        raise S3Trouble(operation, code) from None
    except (BotoCoreError, Boto3Error, RecursionError) as error:
        # botocore asks for the bucket's region on a redirect, and again on a redirect of that.
        raise S3Trouble(operation, type(error).__name__) from None
