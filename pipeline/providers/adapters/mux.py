"""Adapter of Mux Video (https://www.mux.com/docs/api-reference/video).

An asset is a job, and its ``passthrough`` is our attempt id. Mux has no idempotency key and no
search by that id, so ``find`` reads the list of assets, newest first, back to the submission. HLS
plays when the asset is ready; the MP4 is a static rendition that follows.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import count
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pydantic import AliasPath, AnyHttpUrl, AwareDatetime, Field, SecretStr, ValidationError

from pipeline.domain.errors import TransientProviderError
from pipeline.domain.values import (
    CallbackEnvelope,
    JobRef,
    ListedJob,
    LookAtJob,
    Outputs,
    Phase,
    Profile,
    ProviderStatus,
    Rate,
    SignedCallback,
    SubmitRequest,
    Submitted,
    Verb,
)
from pipeline.net.provider_signatures import check_opaque_secret, verify_mux
from pipeline.providers import base, transport
from pipeline.providers.callback_events import digest_without, event_id_of, event_in
from pipeline.providers.playback_tokens import SigningAccountSettings
from pipeline.providers.transport import VendorDocument
from pipeline.runtime.strict_json import read_document

ASSETS = "/video/v1/assets"
GONE = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
"""Mux answers 400 for an id that it cannot read, such as one of another environment."""
PAGE, MOST_PAGES = 100, 50
CLOCKS_DIFFER = timedelta(minutes=2)
"""Largest difference between Mux's clock and ours that ``find`` allows for."""
MAX_TITLE_CHARS = 512
THUMBNAIL_WIDTH = 640
CAPS = frozenset({Profile.P1080, Profile.P1440, Profile.P2160})
MAX_DURATION_SEC = 12 * 3600.0
PACE = {Verb.WRITE: Rate(per_sec=1, burst=5), Verb.READ: Rate(per_sec=5, burst=10)}
"""Mux's limits for an account: a POST a second with short bursts, five other calls a second."""
PICTURES = frozenset({base.OutputKind.POSTER, base.OutputKind.THUMBNAIL})
LOOKS = re.compile(
    r"video\.asset\.(?:created|ready|deleted|static_rendition\.(?:ready|errored|skipped))"
)
"""Events that are a reason to look. Their order is not promised, so their data is not believed."""
ERRORED = "video.asset.errored"
DIFFERS_BY_TRY = frozenset({"attempts"})
FETCH_FAULTS = ("download", "fetch", "timeout")
"""Parts of the types of errors that are no fault of the source's content."""

PublicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,255}$")]


def _at(first: str, *rest: str | int, default: Any = None) -> Any:
    return Field(default, validation_alias=AliasPath(first, *rest))


class _File(VendorDocument):
    name: PublicName | None = None
    status: str
    height: int = 0


class _Track(VendorDocument):
    type: str
    max_width: int | None = None
    max_height: int | None = None


class _Asset(VendorDocument):
    id: PublicName
    status: Literal["preparing", "ready", "errored"]
    created_at: AwareDatetime
    passthrough: str | None = None
    duration: float | None = Field(None, ge=0)
    tracks: tuple[_Track, ...] = ()
    playback_id: PublicName | None = _at("playback_ids", 0, "id")
    files: tuple[_File, ...] = _at("static_renditions", "files", default=())
    percent: float | None = _at("progress", "progress")  # -1 if unknown
    error_type: str = _at("errors", "type", default="")
    error_messages: tuple[str, ...] = _at("errors", "messages", default=())


class _One(VendorDocument):
    data: _Asset


class _Page(VendorDocument):
    data: tuple[_Asset, ...]
    next_cursor: str | None = None


class _Refusal(VendorDocument):
    type: str = Field(validation_alias=AliasPath("error", "type"))
    messages: tuple[str, ...] = _at("error", "messages", default=())


class _Event(VendorDocument):
    """The data is an asset, or a static rendition that names its asset."""

    type: str
    object_id: PublicName = Field(validation_alias=AliasPath("object", "id"))
    asset_id: PublicName | None = _at("data", "asset_id")
    passthrough: str | None = _at("data", "passthrough")


class Settings(SigningAccountSettings):
    """An account of Mux Video: one environment."""

    token_id: str
    """Id of an access token with the right to read and write Mux Video."""
    token_secret: SecretStr
    """Secret of that access token."""
    video_quality: Literal["basic", "plus", "premium"] | None = None
    """Quality of new assets. Unset takes the environment's own."""
    api_url: AnyHttpUrl = AnyHttpUrl("https://api.mux.com")
    """Address of Mux's API."""
    stream_url: AnyHttpUrl = AnyHttpUrl("https://stream.mux.com")
    """Address of streams and files: Mux's own, or your custom domain for it."""
    image_url: AnyHttpUrl = AnyHttpUrl("https://image.mux.com")
    """Address of pictures: Mux's own, or your custom domain for it."""


class Mux:
    """The adapter of one environment of Mux Video."""

    def __init__(self, opening: base.Opening) -> None:
        settings: Settings = opening.settings
        self.name = opening.name
        self._settings = settings
        self._tolerance_sec = opening.tolerance_sec
        self._key = settings.signing_key()
        self.capabilities = base.Capabilities(
            idempotent_submit=False,
            margin_sec=30,
            signed_playback=self._key is not None,
            caps=CAPS,
            max_duration_sec=MAX_DURATION_SEC,
            pace=PACE,
        )
        # Playlists name absolute addresses on hosts that vary by region.
        own = {"*.mux.com", settings.stream_url.host or "", settings.image_url.host or ""}
        self.trust = base.Trust(settings.output_hosts | own, settings.webhook_sources)
        self._http = transport.ProviderHttp(
            str(settings.api_url),
            headers=transport.basic_credentials(settings.token_id, settings.token_secret),
            timeout_sec=opening.timeout_sec,
            explain=_explain,
        )

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._http.close()

    def submit(self, request: SubmitRequest) -> Submitted:
        """Create an asset from the source's address."""
        ours = str(request.attempt_id)
        body: dict[str, Any] = {
            "inputs": [{"url": request.source_url}],
            "playback_policies": [request.playback.value],
            "passthrough": ours,
            "meta": {"external_id": ours},
            "static_renditions": [{"resolution": "highest", "passthrough": ours}],
        }
        if request.title:
            body["meta"]["title"] = request.title[:MAX_TITLE_CHARS]
        if request.max_profile in CAPS:
            body["max_resolution_tier"] = request.max_profile
        if self._settings.video_quality:
            body["video_quality"] = self._settings.video_quality
        answer = self._http.submit("POST", ASSETS, json=body)
        return Submitted(transport.read_acceptance(answer, _One).data.id, answer.request_id)

    def advance(self, job: JobRef, follow_up: str) -> None:
        """Do nothing: the MP4 is asked for at submission."""

    def find(self, job: JobRef) -> ProviderStatus | None:
        """Read the list of assets back to the submission."""
        for asset, request_id in self._assets_since(
            job.intended_at - CLOCKS_DIFFER, range(MOST_PAGES)
        ):
            if base.echoed_id(asset.passthrough) == job.attempt_id:
                return self._status(asset, request_id, job.poster_time_sec)
        return None

    def fetch(self, job: JobRef) -> ProviderStatus | None:
        """GET the asset."""
        answer = self._http.ask("GET", _path(job.provider_job_id or ""), absent=GONE)
        if answer is None:
            return None
        asset = transport.read_answer(answer, _One).data
        return self._status(asset, answer.request_id, job.poster_time_sec)

    def cancel(self, job: JobRef) -> None:
        """DELETE the asset, which ends its encoding."""
        found = None if job.provider_job_id else self.find(job)
        job_id = found.provider_job_id if found else job.provider_job_id
        if job_id:
            self._http.ask("DELETE", _path(job_id), absent=GONE)

    def list_since(self, instant: datetime) -> Iterator[ListedJob]:
        """Read the list of assets back to the instant."""
        for asset, _ in self._assets_since(instant, count()):
            ours = base.echoed_id(asset.passthrough)
            yield ListedJob(asset.id, asset.created_at, ours, asset.duration)

    def sign(self, address: str, kind: base.OutputKind, until: datetime) -> str:
        """Add a token. It holds the address's own query, as Mux demands."""
        if self._key is None:
            raise NotImplementedError
        parts = urlsplit(address)
        playback_id = parts.path.split("/")[1].removesuffix(".m3u8")
        audience = "t" if kind in PICTURES else "s" if kind is base.OutputKind.STORYBOARD else "v"
        claims = {**dict(parse_qsl(parts.query)), "aud": audience}
        token = self._key.token(playback_id, until, claims)
        return urlunsplit(parts._replace(query=urlencode({"token": token})))

    def documents_for(self, envelope: CallbackEnvelope) -> Sequence[str]:
        """Return nothing: the secrets suffice."""
        del envelope
        return ()

    def verify_callback(
        self, envelope: CallbackEnvelope, secrets: Sequence[str], now: datetime
    ) -> SignedCallback:
        """Verify ``Mux-Signature``. The event's own id detects a redelivery."""
        body, tolerance = envelope.body, self._tolerance_sec
        signed_at = verify_mux(envelope.headers, body, secrets, now=now, tolerance_sec=tolerance)
        event = event_in(body)
        event_id = event_id_of(body, event.get("id"))
        return SignedCallback(event_id, signed_at, digest_without(event, DIFFERS_BY_TRY))

    def read_callback(self, envelope: CallbackEnvelope) -> ProviderStatus | LookAtJob | None:
        """Read an event: the end of a failed asset, or a reason to look at it."""
        document = event_in(envelope.body)
        try:
            if document.get("type") == ERRORED:
                return self._status(_One.model_validate(document).data, None, None)
            event = _Event.model_validate(document)
        except ValidationError as error:
            raise base.CallbackUnreadable("no event of Mux") from error
        if LOOKS.fullmatch(event.type) is None:
            return None
        ours = base.echoed_id(event.passthrough)
        return LookAtJob(event.asset_id or event.object_id, ours, event.type)

    def _assets_since(
        self, instant: datetime, pages: Iterable[int]
    ) -> Iterator[tuple[_Asset, str | None]]:
        """Yield the assets made since an instant, newest first, each with its request's id.

        Args:
            pages: As many numbers as pages may be read.
        """
        query: dict[str, Any] = {"limit": PAGE}
        for _ in pages:
            answer = self._http.ask("GET", ASSETS, query=query, absent=())
            assert answer is not None
            page = transport.read_answer(answer, _Page)
            for asset in page.data:
                if asset.created_at < instant:
                    return
                yield asset, answer.request_id
            if not page.next_cursor:
                return
            query["cursor"] = page.next_cursor
        raise TransientProviderError("provider_failed", "the list of assets does not end")

    def _status(
        self, asset: _Asset, request_id: str | None, poster_time_sec: float | None
    ) -> ProviderStatus:
        outputs = self._outputs(asset, poster_time_sec) if asset.status == "ready" else None
        return ProviderStatus(
            provider_job_id=asset.id,
            attempt_id=base.echoed_id(asset.passthrough),
            provider_request_id=request_id,
            progress=base.percent_of(asset.percent),
            **(_failure(asset) or {"phase": _phase(asset, outputs), "outputs": outputs}),
        )

    def _outputs(self, asset: _Asset, poster_time_sec: float | None) -> Outputs:
        streams = f"{str(self._settings.stream_url).rstrip('/')}/{asset.playback_id}"
        images = f"{str(self._settings.image_url).rstrip('/')}/{asset.playback_id}"
        time = {} if poster_time_sec is None else {"time": poster_time_sec}
        ready = [file for file in _videos(asset) if file.status == "ready" and file.name]
        best = max(ready, key=lambda file: file.height, default=None)
        track = next((track for track in asset.tracks if track.type == "video"), None)
        return Outputs(
            manifest_url=f"{streams}.m3u8",
            fallback_url=f"{streams}/{best.name}" if best else None,
            poster_url=f"{images}/thumbnail.jpg" + (f"?{urlencode(time)}" if time else ""),
            thumbnail_url=f"{images}/thumbnail.jpg?{urlencode(time | {'width': THUMBNAIL_WIDTH})}",
            storyboard_url=f"{images}/storyboard.vtt",
            duration_sec=asset.duration,
            width=track.max_width if track else None,
            height=track.max_height if track else None,
        )


ADAPTER = base.Adapter(Settings, Mux, base.SecretFormat(check_opaque_secret, None))


def _path(asset_id: str) -> str:
    return f"{ASSETS}/{quote(asset_id, safe='')}"


def _explain(answer: transport.VendorAnswer) -> transport.VendorError:
    try:
        error = _Refusal.model_validate(read_document(answer.body))
    except ValueError:
        return transport.VendorError(f"answered {answer.status}")
    return transport.VendorError(transport.vendor_words(error.type, *error.messages))


def _phase(asset: _Asset, outputs: Outputs | None) -> Phase:
    if outputs is not None:
        return Phase.COMPLETED if outputs.is_complete else Phase.PLAYABLE
    return Phase.WAITING if asset.percent is None else Phase.RUNNING


def _failure(asset: _Asset) -> Mapping[str, Any] | None:
    """Return the end of an asset that will never be complete; None for any other."""
    files = {file.status for file in _videos(asset)}
    if asset.status == "errored":
        unfetched = any(word in asset.error_type for word in FETCH_FAULTS)
        code = "source_unreachable" if unfetched else "encode_failed"
        words = transport.vendor_words(asset.error_type, *asset.error_messages)
        return base.failed(code, words, retryable=unfetched)
    if asset.status == "ready" and asset.playback_id is None:
        return base.failed("provider_failed", "the asset has no playback id", retryable=True)
    if asset.status == "ready" and files and files <= {"skipped", "errored"}:
        return base.failed("provider_failed", f"the MP4 is {min(files)}", retryable=True)
    return None


def _videos(asset: _Asset) -> Sequence[_File]:
    return [file for file in asset.files if file.name != "audio.m4a"]
