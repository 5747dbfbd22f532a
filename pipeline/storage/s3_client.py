"""The connection to an S3-compatible service: how long it waits, and what its errors mean."""

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
"""Between two bytes. A write of 8 MiB takes this long at 3.4 Mbit/s, far below a server's line."""
ATTEMPTS = 3
CONNECTIONS = 32
"""Above the threads of a web process; more would wait for one another."""
FALLBACK_REGION = "us-east-1"  # what services without regions expect in a signature

_UNSUPPORTED = frozenset({"NotImplemented", "MethodNotAllowed", "501", "405"})
_FORBIDDEN = frozenset({"AccessDenied", "403"})
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_PARTS_REFUSED = frozenset(
    {"NoSuchUpload", "InvalidPart", "InvalidPartOrder", "EntityTooSmall", "InvalidUploadId"}
)


for _name in ("boto3", "botocore", "s3transfer"):
    # For debugging they write down what they sign, and with it signatures that others could use.
    logging.getLogger(_name).setLevel(logging.INFO)


class S3Trouble(OSError):
    """The service did not do what was asked, and may later.

    Its message is the operation and the error's code: the service's own words may name keys.

    Attributes:
        code: The service's, or the class of what went wrong on the way there.
    """

    def __init__(self, operation: str, code: str) -> None:
        super().__init__(f"S3 {operation}: {code}")
        self.code = code

    @property
    def is_unsupported(self) -> bool:
        """Whether this server knows no such operation: many speak a part of the protocol."""
        return self.code in _UNSUPPORTED

    @property
    def is_forbidden(self) -> bool:
        """Whether our credentials do not cover the operation."""
        return self.code in _FORBIDDEN


def connect(place: S3Place, credentials: Credentials | None) -> "S3Client":
    """Make a client; it connects when first used and may be shared by threads.

    Args:
        place: Where the service is.
        credentials: None for what boto3 finds: its variables, its files, the machine's role.
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
            # Since 1.36 boto3 adds checksums that other services than AWS do not know.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            # Other services often have no name in DNS for each bucket.
            s3={"addressing_style": "path" if place.endpoint else "auto"},
        ),
    )


def origins_of(service: str, place: S3Place) -> frozenset[str]:
    """Where addresses that are signed for a bucket lead, and where those are redirected.

    AWS has a name for each bucket, and for one that DNS cannot hold the service's own. Addresses
    are signed for the name without a region, which redirects to the one with it until DNS knows.

    Args:
        service: The address that the client speaks to.
        place: The bucket.
    """
    if place.endpoint:
        return frozenset({service})
    named = service.replace("://", f"://{place.bucket}.")
    return frozenset({service, named, f"https://{place.bucket}.s3.amazonaws.com"})


@contextmanager
def translating_errors(operation: str) -> Iterator[None]:
    """Turn the SDK's errors into ours.

    Raises:
        ObjectMissing, PartsRefused: the service says so.
        S3Trouble: anything else.
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
    except (BotoCoreError, Boto3Error) as error:
        raise S3Trouble(operation, type(error).__name__) from None
