"""Adapter of Cloudflare Stream (https://developers.cloudflare.com/api/resources/stream/).

Our attempt id is the name and the creator of the video, so one call finds it again. The manifest
plays before every quality is encoded. The MP4 is made on request, and no callback tells its end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID

from pydantic import (
    AliasChoices,
    AliasPath,
    AnyHttpUrl,
    AwareDatetime,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
)

from pipeline.domain.errors import TransientProviderError
from pipeline.domain.values import (
    CallbackEnvelope,
    JobRef,
    ListedJob,
    LookAtJob,
    Outputs,
    Phase,
    Playback,
    ProviderStatus,
    Rate,
    SignedCallback,
    SubmitRequest,
    Submitted,
    Verb,
)
from pipeline.net.provider_signatures import check_opaque_secret, verify_cloudflare_stream
from pipeline.providers import base, transport
from pipeline.providers.callback_events import event_id_of
from pipeline.providers.playback_tokens import SigningAccountSettings
from pipeline.providers.transport import VendorDocument
from pipeline.runtime.strict_json import DocumentRefused, read_document

HOSTS = frozenset({"*.cloudflarestream.com"})
DOWNLOADS = "downloads"
"""The follow-up call that asks for the MP4."""
PAGE = 500
"""Videos in an answer; the vendor gives a thousand at most, of some KiB each."""
TOKEN_LIFE = timedelta(hours=24)
"""Longest validity of a playback token (the vendor's page "Secure your Stream")."""
POSTER_HEIGHT, THUMBNAIL_HEIGHT = 720, 270
WHOLE = 100
PHASES = {
    **dict.fromkeys(("pendingupload", "downloading", "queued"), Phase.WAITING),
    **dict.fromkeys(("inprogress", "live-inprogress"), Phase.RUNNING),
    "ready": Phase.PLAYABLE,
    "error": Phase.FAILED,
}
ERRORS: Mapping[str, tuple[str, bool]] = {
    "ERR_NON_VIDEO": ("unsupported_media", False),
    "ERR_DURATION_EXCEED_CONSTRAINT": ("source_too_long", False),
    "ERR_DURATION_TOO_SHORT": ("source_corrupt", False),
    "ERR_MALFORMED_VIDEO": ("source_corrupt", False),
    "ERR_FETCH_ORIGIN_ERROR": ("source_unreachable", True),
    "ERR_UNKNOWN": ("encode_failed", True),
}
"""Our code of each of the vendor's errors, and true if a new attempt may succeed. A code that is
not among them is final."""

Result = TypeVar("Result")
# The vendor writes -1 or nothing for a figure that it does not know yet.
_KNOWN = BeforeValidator(lambda told: None if told in ("", -1) else told)
Figure = Annotated[float | None, _KNOWN]
Count = Annotated[int | None, _KNOWN]


def _at(first: str, second: str) -> Any:
    return Field(None, validation_alias=AliasPath(first, second))


def _fault(name: str) -> Any:
    """Return the field of an error: the vendor's example spells it differently from its schema."""
    paths = (AliasPath("status", f"error{name}"), AliasPath("status", f"err{name}"))
    return Field(None, validation_alias=AliasChoices(*paths))


class _Video(VendorDocument):
    """A video as far as its origin goes."""

    uid: str = Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")
    creator: str | None = None
    name: Any = _at("meta", "name")
    created: AwareDatetime | None = None
    duration: Figure = None

    @property
    def attempt_id(self) -> UUID | None:
        return base.echoed_id(self.creator) or base.echoed_id(str(self.name))


class _Detailed(_Video):
    state: Literal[
        "pendingupload", "downloading", "queued", "inprogress", "live-inprogress", "ready", "error"
    ] = Field(validation_alias=AliasPath("status", "state"))
    percent: Figure = _at("status", "pctComplete")
    fault: str | None = _fault("ReasonCode")
    words: str | None = _fault("ReasonText")
    hls: str | None = _at("playback", "hls")
    thumbnail: str | None = None
    width: Count = _at("input", "width")
    height: Count = _at("input", "height")
    size: Count = None
    modified: str = ""


class _Mp4(VendorDocument):
    status: Literal["inprogress", "ready", "error"] | None = _at("default", "status")
    url: str | None = _at("default", "url")


class _Envelope(VendorDocument, Generic[Result]):
    result: Result


class _Verdict(VendorDocument):
    """The part that the envelope of every answer has."""

    success: bool
    errors: list[Mapping[str, Any]] | None = None

    @property
    def words(self) -> str:
        faults = self.errors or ()
        told = (f"{fault.get('code')} {fault.get('message')}" for fault in faults)
        return transport.vendor_words(*told)


class Settings(SigningAccountSettings):
    """An account of Cloudflare Stream."""

    account_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    """The account's id in Cloudflare's dashboard."""
    api_token: SecretStr
    """API token with the permission Stream: Edit."""
    api_url: AnyHttpUrl = AnyHttpUrl("https://api.cloudflare.com/client/v4")
    """Address of Cloudflare's API."""


class CloudflareStream:
    """The adapter of Cloudflare's API, version 4."""

    def __init__(self, opening: base.Opening) -> None:
        settings: Settings = opening.settings
        self.name = opening.name
        self._key = settings.signing_key()
        self._tolerance_sec = opening.tolerance_sec
        self.trust = base.Trust(HOSTS | settings.output_hosts, settings.webhook_sources)
        # The vendor's pages "Rate limits" and "Stream: FAQ": 1200 calls of all verbs in five
        # minutes, 120 videos in the queue, 30 GB in a file.
        self.capabilities = base.Capabilities(
            idempotent_submit=False,
            margin_sec=30,
            signed_playback=self._key is not None,
            max_bytes=30 * 1000**3,
            polls_first=True,  # no callback tells the end of the MP4
            pace={Verb.WRITE: Rate(1, burst=10), Verb.READ: Rate(3, burst=30)},
            max_jobs=120,
        )
        self._http = transport.ProviderHttp(
            f"{str(settings.api_url).rstrip('/')}/accounts/{settings.account_id}/stream",
            headers={"Authorization": f"Bearer {settings.api_token.get_secret_value()}"},
            timeout_sec=opening.timeout_sec,
            request_id_header="CF-Ray",
            explain=_explain,
        )

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._http.close()

    def submit(self, request: SubmitRequest) -> Submitted:
        """POST the order to copy the source. There is no idempotency key."""
        ours = str(request.attempt_id)
        body = {
            "input": request.source_url,
            "meta": {"name": ours},
            "creator": ours,
            "requireSignedURLs": request.playback is Playback.SIGNED,
        }
        answer = self._http.submit("POST", "/copy", json=body)
        accepted = transport.read_acceptance(answer, _Envelope[_Video])
        return Submitted(accepted.result.uid, answer.request_id)

    def advance(self, job: JobRef, follow_up: str) -> None:
        """POST the request for the MP4; a second one changes nothing."""
        assert follow_up == DOWNLOADS
        self._ask("POST", f"{_path(job)}/downloads", _Mp4)

    def find(self, job: JobRef) -> ProviderStatus | None:
        """GET the videos with our name; the oldest is the job, should there be several."""
        found = sorted(self._find(job), key=lambda video: str(video.created))
        return self.fetch(replace(job, provider_job_id=found[0].uid)) if found else None

    def fetch(self, job: JobRef) -> ProviderStatus | None:
        """GET the video, and its MP4 as soon as the video plays."""
        asked = self._ask("GET", _path(job), _Detailed)
        if asked is None:
            return None
        video, request_id = asked
        if video.state != "ready":
            return _status(video, request_id)
        downloads = self._ask("GET", f"{_path(job)}/downloads", _Mp4)
        return _ready(video, downloads[0] if downloads else _Mp4(), request_id, job)

    def cancel(self, job: JobRef) -> None:
        """DELETE the video, or every one with our name if its id is unknown."""
        known = [job] if job.provider_job_id else None
        for each in known or [replace(job, provider_job_id=v.uid) for v in self._find(job)]:
            self._http.ask("DELETE", _path(each))

    def list_since(self, instant: datetime) -> Iterator[ListedJob]:
        """Yield the videos, the oldest first; a page begins where the one before it ended."""
        seen: set[str] = set()
        while True:
            page = self._list(start=instant.astimezone(UTC).isoformat(), asc="true")
            new = [video for video in page if video.uid not in seen]
            for video in new:
                created_at = video.created or instant
                instant = max(instant, created_at)
                seen.add(video.uid)
                yield ListedJob(video.uid, created_at, video.attempt_id, video.duration)
            if not new or len(page) < PAGE:
                return

    def sign(self, address: str, kind: base.OutputKind, until: datetime) -> str:
        """Put a token in the place of the video's id (the vendor's page "Secure your Stream").

        Its end is bounded to the hour, so that an address stays the same for a while.
        """
        if self._key is None:
            raise NotImplementedError
        parts = urlsplit(address)
        _, uid, rest = parts.path.split("/", 2)
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        claims = {"downloadable": True} if kind is base.OutputKind.FALLBACK else {}
        token = self._key.token(uid, min(until, hour + TOKEN_LIFE), claims)
        return parts._replace(path=f"/{token}/{rest}").geturl()

    def documents_for(self, envelope: CallbackEnvelope) -> Sequence[str]:
        """Return nothing: the secrets suffice."""
        del envelope
        return ()

    def verify_callback(
        self, envelope: CallbackEnvelope, secrets: Sequence[str], now: datetime
    ) -> SignedCallback:
        """Verify ``Webhook-Signature``. It names no event: the video's state makes the id.

        The digest leaves out the percentage, which may have grown by the next delivery.
        """
        body, tolerance = envelope.body, self._tolerance_sec
        signed_at = verify_cloudflare_stream(
            envelope.headers, body, secrets, now=now, tolerance_sec=tolerance
        )
        try:
            video = _video_of(body)
        except base.CallbackUnreadable:
            return SignedCallback(event_id_of(body, None), signed_at)
        event_id = event_id_of(body, video.uid, video.state, video.modified)
        facts = f"{event_id}:{video.attempt_id}:{video.fault}"
        return SignedCallback(event_id, signed_at, sha256(facts.encode()).hexdigest())

    def read_callback(self, envelope: CallbackEnvelope) -> ProviderStatus | LookAtJob | None:
        """Read a callback, which is the video. A video of another origin is ignored.

        A video that is ready is looked at, because its MP4 is not in the callback.
        """
        video = _video_of(envelope.body)
        if video.attempt_id is None:
            return None
        if video.state == "ready":
            return LookAtJob(video.uid, video.attempt_id, video.state)
        return _status(video, None)

    def _find(self, job: JobRef) -> list[_Video]:
        found = self._list(video_name=str(job.attempt_id))
        return [video for video in found if video.attempt_id == job.attempt_id]

    def _list(self, **query: str) -> list[_Video]:
        asked = self._ask("GET", f"?{urlencode({**query, 'limit': PAGE})}", list[_Video])
        return asked[0] if asked else []

    def _ask(
        self, method: str, path: str, schema: type[Result]
    ) -> tuple[Result, str | None] | None:
        """Make a call that may be repeated, and return its result and its request id."""
        answer = self._http.ask(method, path)
        if answer is None:
            return None
        verdict = transport.read_answer(answer, _Verdict)
        if not verdict.success:
            raise _unusable(verdict.words or "no success", answer.request_id)
        envelope = transport.read_answer(answer, _Envelope[schema])  # type: ignore[valid-type]
        return envelope.result, answer.request_id


ADAPTER = base.Adapter(Settings, CloudflareStream, base.SecretFormat(check_opaque_secret, None))


def _path(job: JobRef) -> str:
    return f"/{quote(job.provider_job_id or '', safe='')}"


def _unusable(words: str, request_id: str | None) -> TransientProviderError:
    return TransientProviderError("provider_failed", words, request_id=request_id)


def _explain(answer: transport.VendorAnswer) -> transport.VendorError:
    try:
        words = _Verdict.model_validate(read_document(answer.body)).words
    except ValueError:
        words = ""
    return transport.VendorError(words or f"answered {answer.status}")


def _video_of(body: bytes) -> _Detailed:
    try:
        return _Detailed.model_validate(read_document(body))
    except (DocumentRefused, ValidationError) as error:
        raise base.CallbackUnreadable("no video as documented") from error


def _status(video: _Detailed, request_id: str | None) -> ProviderStatus:
    """Report a video by its state; one that is ready lacks its outputs."""
    status = ProviderStatus(
        phase=PHASES[video.state],
        attempt_id=video.attempt_id,
        provider_job_id=video.uid,
        provider_request_id=request_id,
        progress=base.percent_of(video.percent),
    )
    if status.phase is not Phase.FAILED:
        return status
    fault = video.fault or "ERR_UNKNOWN"
    code, retryable = ERRORS.get(fault, ("provider_failed", False))
    words = transport.vendor_words(fault, video.words)
    return replace(status, **base.failed(code, words, retryable=retryable))


def _ready(video: _Detailed, mp4: _Mp4, request_id: str | None, job: JobRef) -> ProviderStatus:
    """Report a video that plays: it is complete with all its qualities and its MP4."""
    status = _status(video, request_id)
    is_made = mp4.status == "ready"
    if not video.hls or not video.thumbnail or (is_made and not mp4.url):
        raise _unusable("ready without an address", request_id)
    if mp4.status == "error":
        return replace(
            status, **base.failed("encode_failed", "the MP4 is in error", retryable=True)
        )
    outputs = Outputs(
        manifest_url=video.hls,
        fallback_url=mp4.url if is_made else None,
        poster_url=_picture(video, job, POSTER_HEIGHT),
        thumbnail_url=_picture(video, job, THUMBNAIL_HEIGHT),
        duration_sec=video.duration,
        width=video.width,
        height=video.height,
        size_bytes=video.size,
    )
    is_whole = is_made and status.progress in {None, WHOLE}
    phase = Phase.COMPLETED if is_whole else Phase.PLAYABLE
    follow_up = DOWNLOADS if mp4.status is None else None
    return replace(status, phase=phase, outputs=outputs, follow_up=follow_up)


def _picture(video: _Detailed, job: JobRef, height: int) -> str:
    """Return the address of a picture, at the owner's instant or a quarter into the video.

    The first frame, which is the vendor's own choice, is often black. Both sides are named, because
    for one alone the vendor crops.
    """
    chosen, quarter_sec = job.poster_time_sec, (video.duration or 0) / 4
    query: dict[str, Any] = {"time": f"{quarter_sec if chosen is None else chosen:.3f}s"}
    if video.width and video.height:
        height = min(height, video.height)
        query |= {"height": height, "width": round(video.width * height / video.height)}
    return f"{video.thumbnail}?{urlencode(query)}"
