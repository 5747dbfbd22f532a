"""Source of an asset: its location and its measurement."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipeline.content.media_tokens import TokenHolder
from pipeline.content.object_urls import key_of, object_url, owner_prefix
from pipeline.content.stored_source import SAMPLE, probeable
from pipeline.media.arriving_sample import sample_arriving
from pipeline.media.own_folder import own_folder
from pipeline.media.probe import probe
from pipeline.media.sample import sample_source
from pipeline.media.source_info import Measured, SourceInfo
from pipeline.media.source_limits import OF_TOOLS, MediaRefused, check_limits
from pipeline.net.fetch import FetchRefused, Version
from pipeline.net.responses import check_version
from pipeline.records.models import Asset, Attempt, Upload
from pipeline.services import Services
from pipeline.storage.base import KeyRefused, ObjectMissing, Stat, check_key

HOST_UNFIT = "host_unfit"
"""The code of a machine of ours that cannot measure any source."""
STORAGE_UNAVAILABLE = "storage_unavailable"
"""The code of a storage of ours that cannot be read."""


@dataclass(frozen=True)
class Source:
    """Location of a source: a key in our storage, or a remote URL.

    Attributes:
        owner_id: The owner of the asset. A key must be in this owner's folder.
        copied_from: The account whose published MP4 it is; None for the owner's own file.
    """

    key: str | None
    url: str | None
    owner_id: str
    copied_from: str | None = None


class SourceRefused(Exception):
    """The source cannot be processed.

    Attributes:
        code: One of ``pipeline.domain.failures``.
        transient: True if the source may be readable later.
        retry_after_sec: Seconds until its server wants to be asked again; None if it did not say.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        transient: bool = False,
        retry_after_sec: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.transient = transient
        self.retry_after_sec = retry_after_sec


def locate(session: Session, asset: Asset) -> Source:
    """Return the location of this asset's source."""
    if asset.upload_id is not None:
        key = session.scalars(select(Upload.storage_key).where(Upload.id == asset.upload_id)).one()
        return Source(key, None, asset.owner_id)
    assert asset.source_url is not None
    key_or_none = key_of(asset.source_url)
    return Source(key_or_none, asset.source_url if key_or_none is None else None, asset.owner_id)


def url_for_provider(services: Services, source: Source, attempt: Attempt) -> str:
    """Return the URL from which a provider reads the source: the remote one, or one of ours.

    One of ours opens nothing once the attempt has ended or its release is owed. It depends on the
    attempt alone, so that a repeated request is the same request.
    """
    if source.url is not None:
        return source.url
    assert source.key is not None
    lifetime = timedelta(seconds=services.settings.media_urls.token_expires_sec)
    return object_url(
        services.settings.media_urls,
        source.key,
        expires_at=attempt.created_at + lifetime,
        holder=TokenHolder(attempt.asset_id, attempt.id),
    )


def measure(
    services: Services,
    source: Source,
    *,
    pinned: Version | None,
    on_bytes: Callable[[int], None] | None = None,
) -> Measured:
    """Probe a source by its content, never by its name or declared type.

    Of a remote source only the index and a sample are read, as far as its server allows. A server
    that answers no ranges sends the whole file: it may take as long as its bytes do at the least
    rate.

    Args:
        pinned: The version of an earlier measurement, which it must still be; None for any.
        on_bytes: Called with the size of each piece of a remote source that arrives. Its
            exceptions end the measurement and pass through.

    Raises:
        SourceRefused: with the code of the refusal.
    """
    try:
        if source.key is not None:
            if source.copied_from is None:
                _require_own(source.key, source.owner_id)
            return _measure_stored(services, source.key, pinned)
        assert source.url is not None
        return _measure_remote(services, source.url, pinned, on_bytes)
    except MediaRefused as error:
        raise _refusal_by_tools(services, error) from error
    except FetchRefused as error:
        raise SourceRefused(
            error.code,
            str(error),
            transient=error.transient,
            retry_after_sec=error.retry_after_sec,
        ) from error
    except OSError as error:
        services.host.judge(services.tools)  # takes this machine out if it is the cause
        raise SourceRefused(HOST_UNFIT, str(error), transient=True) from error


def _refusal_by_tools(services: Services, error: MediaRefused) -> SourceRefused:
    """Return the refusal of a source, or of this machine if its tools read no video at all."""
    if error.code in OF_TOOLS:
        fault = services.host.judge(services.tools)
        if fault is not None:
            return SourceRefused(HOST_UNFIT, fault, transient=True)
    return SourceRefused(error.code, str(error))


def _require_own(key: str, owner_id: str) -> None:
    """Refuse a key outside its owner's folder. The API refuses it too; a row may be older."""
    try:
        is_own = check_key(key).startswith(owner_prefix(owner_id))
    except KeyRefused as error:
        raise SourceRefused("url_refused", str(error)) from error
    if not is_own:
        raise SourceRefused("url_refused", "the key lies outside its owner's folder")


def _measure_stored(services: Services, key: str, pinned: Version | None) -> Measured:
    try:
        stat = services.storage.stat(key)
        check_stored(stat, pinned)
        with probeable(services.storage, key) as path:
            info = _probe(services, path)
    except ObjectMissing as error:
        raise SourceRefused("source_unreachable", "the upload is gone") from error
    except OSError as error:
        fault = services.host.judge(services.tools)
        code = STORAGE_UNAVAILABLE if fault is None else HOST_UNFIT
        raise SourceRefused(code, fault or str(error), transient=True) from error
    return Measured(info, stat.size_bytes, stat.etag)


def check_stored(stat: Stat, pinned: Version | None) -> None:
    """Raise `FetchRefused` (`source_changed`) if a stored source is another one than before.

    Its size decides: the ETags of a storage change when its files are restored or moved.
    """
    if pinned is not None:
        check_version(stat, Version(pinned.size_bytes, None))


def _measure_remote(
    services: Services,
    url: str,
    pinned: Version | None,
    on_bytes: Callable[[int], None] | None,
) -> Measured:
    remote = services.fetcher.size_of(url)
    check_version(remote, pinned)
    size_bytes = remote.size_bytes
    if size_bytes is None and pinned is not None:
        size_bytes = pinned.size_bytes
    version = Version(size_bytes, remote.etag)
    with own_folder(SAMPLE) as folder:
        path = folder / "source"
        if remote.accepts_ranges and remote.size_bytes is not None:
            _refuse_size(services, remote.size_bytes)
            sample_source(
                lambda offset, length: services.fetcher.read(
                    url, offset, length, version, on_bytes=on_bytes
                ),
                remote.size_bytes,
                path,
            )
        else:
            most = services.settings.sources.max_bytes
            with services.fetcher.arriving(
                url, max_bytes=most, version=version, on_bytes=on_bytes
            ) as pieces:
                sample_arriving(pieces, size_bytes, path)
        return Measured(_probe(services, path), path.stat().st_size, remote.etag)


def _refuse_size(services: Services, size_bytes: int) -> None:
    if size_bytes > services.settings.sources.max_bytes:
        raise SourceRefused("source_too_large", f"{size_bytes} bytes")
    if size_bytes == 0:
        raise SourceRefused("source_empty", "0 bytes")


def _probe(services: Services, path: Path) -> SourceInfo:
    info = probe(path, services.tools)
    check_limits(info, services.settings.sources.limits)
    return info
