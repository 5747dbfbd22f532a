"""Driver of S3's multipart uploads."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pipeline.storage.base import KeyRefused, ObjectMissing, PartsRefused, check_key
from pipeline.storage.content_types import OCTET_STREAM, content_type_of
from pipeline.storage.multipart import Multipart, Part, SignedRequest
from pipeline.storage.s3_client import S3Trouble, translating_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListPartsOutputTypeDef

MAX_KEY_BYTES = 1024
_IN_MEMORY_BYTES = 1024 * 1024


class S3Parts:
    """Multipart uploads in a bucket, under a prefix that ends in a slash or is empty."""

    def __init__(self, client: "S3Client", bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def start_multipart(self, key: str) -> Multipart:
        """See `TakesParts.start_multipart`."""
        with translating_errors("CreateMultipartUpload"):
            started = self._client.create_multipart_upload(
                Bucket=self._bucket, Key=self._name(key), ContentType=content_type_of(key)
            )
        return Multipart(key, started["UploadId"])

    def put_part(
        self,
        multipart: Multipart,
        number: int,
        offset: int,  # noqa: ARG002 - S3 goes by the number alone
        chunks: Iterable[bytes],
    ) -> Part:
        """See `TakesParts.put_part`; a temporary file keeps the part for another try."""
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as body:
            for chunk in chunks:
                body.write(chunk)
            size_bytes = body.tell()
            body.seek(0)
            with translating_errors("UploadPart"):
                stored = self._client.upload_part(
                    Bucket=self._bucket,
                    Key=self._name(multipart.key),
                    UploadId=multipart.id,
                    PartNumber=number,
                    Body=body,
                    ContentLength=size_bytes,
                )
        return Part(number, size_bytes, stored["ETag"].strip('"'))

    def presign_part(
        self,
        multipart: Multipart,
        number: int,
        *,
        size_bytes: int,
        md5: str | None,
        expires_sec: int,
    ) -> SignedRequest | None:
        """See `TakesParts.presign_part`."""
        signed = {"ContentLength": size_bytes} | ({"ContentMD5": md5} if md5 else {})
        url = self._client.generate_presigned_url(
            "upload_part",
            Params={
                "Bucket": self._bucket,
                "Key": self._name(multipart.key),
                "UploadId": multipart.id,
                "PartNumber": number,
                **signed,
            },
            ExpiresIn=expires_sec,
        )
        # Browsers set Content-Length themselves and forbid scripts to set it.
        headers = {"Content-Type": OCTET_STREAM} | ({"Content-MD5": md5} if md5 else {})
        return SignedRequest("PUT", url, headers)

    def list_parts(self, multipart: Multipart, *, only: int | None = None) -> Sequence[Part] | None:
        """See `TakesParts.list_parts`; a single part takes one request."""
        name = self._name(multipart.key)
        try:
            with translating_errors("ListParts"):
                if only is None:
                    return list(self._parts(name, multipart.id))
                return self._part(name, multipart.id, only)
        except S3Trouble as trouble:
            if trouble.is_unsupported or trouble.is_forbidden:
                return None
            raise

    def complete_multipart(self, multipart: Multipart, parts: Sequence[Part]) -> None:
        """See `TakesParts.complete_multipart`."""
        name = self._name(multipart.key)
        try:
            with translating_errors("CompleteMultipartUpload"):
                self._client.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=name,
                    UploadId=multipart.id,
                    MultipartUpload={
                        "Parts": [
                            {"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts
                        ]
                    },
                )
        except PartsRefused:
            if not self._exists(name):  # if it exists, an earlier call completed it
                raise

    def abort_multipart(self, multipart: Multipart) -> None:
        """See `TakesParts.abort_multipart`."""
        self._abort(self._name(multipart.key), multipart.id)

    def remove_unfinished(self, *, older_than_sec: float, dry_run: bool = False) -> int:
        """See `Storage.remove_unfinished`.

        Nothing is removed if the server cannot list multipart uploads or forbids it; the bucket
        then needs a lifecycle rule.
        """
        before = datetime.now(UTC) - timedelta(seconds=older_than_sec)
        size_bytes = 0
        try:
            with translating_errors("ListMultipartUploads"):
                abandoned = list(self._abandoned(before))
        except S3Trouble as trouble:
            if trouble.is_unsupported or trouble.is_forbidden:
                return 0
            raise
        for name, upload_id in abandoned:
            with suppress(PartsRefused), translating_errors("ListParts"):  # it has ended just now
                size_bytes += sum(part.size_bytes for part in self._parts(name, upload_id))
            if not dry_run:
                self._abort(name, upload_id)
        return size_bytes

    def _abandoned(self, before: datetime) -> Iterator[tuple[str, str]]:
        pages = self._client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
            for upload in page.get("Uploads", []):
                if upload["Initiated"] <= before:
                    yield upload["Key"], upload["UploadId"]

    def _parts(self, name: str, upload_id: str) -> Iterator[Part]:
        pages = self._client.get_paginator("list_parts")
        for page in pages.paginate(Bucket=self._bucket, Key=name, UploadId=upload_id):
            yield from _listed(page)

    def _part(self, name: str, upload_id: str, number: int) -> list[Part]:
        """Return the part with this number, if stored: the first one after its predecessor."""
        page = self._client.list_parts(
            Bucket=self._bucket,
            Key=name,
            UploadId=upload_id,
            PartNumberMarker=number - 1,
            MaxParts=1,
        )
        return [part for part in _listed(page) if part.number == number]

    def _abort(self, name: str, upload_id: str) -> None:
        try:
            with translating_errors("AbortMultipartUpload"):
                self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=name, UploadId=upload_id
                )
        except PartsRefused:  # it has ended
            return

    def _exists(self, name: str) -> bool:
        try:
            with translating_errors("HeadObject"):
                self._client.head_object(Bucket=self._bucket, Key=name)
        except ObjectMissing:
            return False
        return True

    def _name(self, key: str) -> str:
        """Return the bucket's key for a key of ours."""
        name = f"{self._prefix}{check_key(key)}"
        if len(name.encode()) > MAX_KEY_BYTES:
            raise KeyRefused(f"with its prefix a key has at most {MAX_KEY_BYTES} bytes")
        return name


def _listed(page: "ListPartsOutputTypeDef") -> list[Part]:
    return [
        Part(part["PartNumber"], part["Size"], part["ETag"].strip('"'))
        for part in page.get("Parts", [])
    ]
