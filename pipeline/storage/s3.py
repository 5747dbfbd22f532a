"""Driver of a storage in a bucket of S3, or of a service that speaks its protocol.

S3 makes one object visible in one step, but not several objects. A folder is therefore published
with its playlists last. The driver is safe to use from several threads.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from boto3.s3.transfer import TransferConfig

from pipeline.storage.base import ObjectMissing, Stat, bounded, check_key
from pipeline.storage.content_types import content_type_of
from pipeline.storage.multipart import Part
from pipeline.storage.s3_client import S3Trouble, connect, origins_of, translating_errors
from pipeline.storage.s3_folders import files_by_key, upload_all
from pipeline.storage.s3_parts import S3Parts
from pipeline.storage.urls import Credentials, S3Place

_CHUNK_BYTES = 256 * 1024
_PIECE_BYTES = 8 * 1024 * 1024
"""Size of the parts of a stream, above S3's least of 5 MiB; three are in memory at a time."""
_DELETED_AT_ONCE = 1000  # S3's own limit
_SEQUENTIAL = TransferConfig(use_threads=False, multipart_chunksize=16 * 1024 * 1024)
"""Transfer without threads, because several files are uploaded at once already."""


class S3Storage(S3Parts):
    """The driver for `s3://bucket/prefix`."""

    def __init__(self, place: S3Place, credentials: Credentials | None = None) -> None:
        super().__init__(connect(place, credentials), place.bucket, place.prefix)
        self._place = place

    def write(self, key: str, chunks: Iterable[bytes], *, max_bytes: int | None = None) -> Stat:
        """See `Storage.write`."""
        pieces = _pieces(bounded(chunks, max_bytes))
        name = self._name(key)
        first, second = next(pieces, b""), next(pieces, None)
        if second is not None:
            self._write_in_parts(key, chain((first, second), pieces))
            return self.stat(key)
        with translating_errors("PutObject"):
            self._client.put_object(
                Bucket=self._bucket, Key=name, Body=first, ContentType=content_type_of(key)
            )
        return self.stat(key)

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """See `Storage.read`; the connection opens with the first chunk."""
        found = self.stat(key)
        stop = found.size_bytes if end is None else min(end, found.size_bytes)
        return self._slices(self._name(key), start, stop, found.etag)

    def stat(self, key: str) -> Stat:
        """See `Storage.stat`."""
        try:
            with translating_errors("HeadObject"):
                found = self._client.head_object(Bucket=self._bucket, Key=self._name(key))
        except ObjectMissing:
            self._require_bucket()
            raise
        return _object_stat(key, found["ContentLength"], found["ETag"], found["LastModified"])

    def publish_folder(
        self, folder: Path, prefix: str, *, beat: Callable[[], object] = lambda: None
    ) -> int:
        """See `Storage.publish_folder`."""
        files = files_by_key(folder, prefix)
        upload_all(files, self._upload, beat)
        self._delete(stat.key for stat in self.list(prefix) if stat.key not in files)
        return sum(path.stat().st_size for path in files.values())

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """See `Storage.list`."""
        name = self._name(prefix) if prefix else self._prefix.rstrip("/")
        if prefix:
            with suppress(ObjectMissing):
                yield self.stat(prefix)
        yield from self._below(f"{name}/" if name else "")

    def delete_prefix(self, prefix: str) -> int:
        """See `Storage.delete_prefix`."""
        found = list(self.list(check_key(prefix)))
        self._delete(stat.key for stat in found)
        return sum(stat.size_bytes for stat in found)

    def local_path(self, key: str) -> Path | None:
        """See `Storage.local_path`; this driver has no files."""
        self.stat(key)
        return None

    def presign_get(self, key: str, *, expires_sec: int) -> str | None:
        """See `Storage.presign_get`."""
        return self._client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self._bucket, "Key": self._name(key)},
            ExpiresIn=expires_sec,
        )

    @property
    def origins(self) -> frozenset[str]:
        """See `Storage.origins`."""
        return origins_of(self._client.meta.endpoint_url, self._place)

    def _require_bucket(self) -> None:
        """Tell a missing object from a missing bucket: the answer to a HEAD has no code for it.

        Raises:
            S3Trouble: There is no such bucket, or the service fails.
        """
        try:
            with translating_errors("HeadBucket"):
                self._client.head_bucket(Bucket=self._bucket)
        except ObjectMissing:
            raise S3Trouble("HeadBucket", "NoSuchBucket") from None
        except S3Trouble as trouble:
            if not (trouble.is_forbidden or trouble.is_unsupported):  # then the object decides
                raise

    def _write_in_parts(self, key: str, pieces: Iterable[bytes]) -> None:
        multipart = self.start_multipart(key)
        parts: list[Part] = []
        try:
            for number, piece in enumerate(pieces, start=1):
                parts.append(self.put_part(multipart, number, 0, [piece]))
            self.complete_multipart(multipart, parts)
        except BaseException:
            with suppress(OSError):  # `remove_unfinished` removes the rest later
                self.abort_multipart(multipart)
            raise

    def _slices(self, name: str, start: int, stop: int, etag: str) -> Iterator[bytes]:
        if start >= stop:
            return
        with translating_errors("GetObject"):
            body = self._client.get_object(
                Bucket=self._bucket, Key=name, Range=f"bytes={start}-{stop - 1}", IfMatch=etag
            )["Body"]
            try:
                yield from body.iter_chunks(_CHUNK_BYTES)
            finally:
                body.close()

    def _below(self, name: str) -> Iterator[Stat]:
        pages = self._client.get_paginator("list_objects_v2")
        with translating_errors("ListObjectsV2"):
            for page in pages.paginate(Bucket=self._bucket, Prefix=name):
                for found in page.get("Contents", []):
                    key = found["Key"].removeprefix(self._prefix)
                    yield _object_stat(key, found["Size"], found["ETag"], found["LastModified"])

    def _upload(self, key: str, path: Path) -> None:
        with translating_errors("PutObject"):
            self._client.upload_file(
                str(path),
                self._bucket,
                self._name(key),
                ExtraArgs={"ContentType": content_type_of(key)},
                Config=_SEQUENTIAL,
            )

    def _delete(self, keys: Iterable[str]) -> None:
        names = [self._name(key) for key in keys]
        for first in range(0, len(names), _DELETED_AT_ONCE):
            self._delete_some(names[first : first + _DELETED_AT_ONCE])

    def _delete_some(self, names: Sequence[str]) -> None:
        try:
            with translating_errors("DeleteObjects"):
                answer = self._client.delete_objects(
                    Bucket=self._bucket,
                    Delete={"Objects": [{"Key": name} for name in names], "Quiet": True},
                )
        except S3Trouble as trouble:
            if not trouble.is_unsupported:
                raise
            self._delete_each(names)
            return
        if failed := answer.get("Errors"):
            raise S3Trouble("DeleteObjects", str(failed[0].get("Code")))

    def _delete_each(self, names: Sequence[str]) -> None:
        for name in names:
            with translating_errors("DeleteObject"):
                self._client.delete_object(Bucket=self._bucket, Key=name)


def _object_stat(key: str, size_bytes: int, etag: str, modified_at: datetime) -> Stat:
    return Stat(
        key=key,
        size_bytes=size_bytes,
        etag=etag,
        content_type=content_type_of(key),
        # HTTP headers have whole seconds, listings have fractions.
        modified_at=modified_at.astimezone(UTC).replace(microsecond=0),
    )


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of equal size, except the last."""
    piece = bytearray()
    for chunk in chunks:
        piece += chunk
        while len(piece) >= _PIECE_BYTES:
            yield bytes(piece[:_PIECE_BYTES])
            del piece[:_PIECE_BYTES]
    if piece:
        yield bytes(piece)
