"""Adapter of api.video (https://docs.api.video/reference).

A video is a job, and its metadata holds our attempt id, which finds it in one call. Events tell of
a quality that is encoded; none tells of a failure, and none names our id. So the account is polled.
A private video needs a token that works once, so playback cannot be signed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from itertools import count
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import UUID

from pydantic import (
    AliasChoices,
    AliasPath,
    AnyHttpUrl,
    AwareDatetime,
    Field,
    SecretStr,
    ValidationError,
)

from pipeline.config.account_settings import AccountSettings
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
from pipeline.net.provider_signatures import check_opaque_secret, verify_api_video
from pipeline.providers import base, transport
from pipeline.providers.callback_events import digest_without, event_id_of, event_in
from pipeline.providers.transport import VendorDocument
from pipeline.runtime.strict_json import read_document

VIDEOS = "/videos"
OUR_ID = "external_id"
"""Key of our attempt id in a video's metadata."""
PAGE, MOST_PAGES = 100, 50
MAX_TITLE_CHARS = 255
PACE = {Verb.WRITE: Rate(per_sec=1.5, burst=10), Verb.READ: Rate(per_sec=4, burst=20)}
"""Limits of production: 100 uploads and 500 reads a minute; a fetch makes two reads."""
POLL_LEAST_SEC = 5.0
POSTER = "poster"
"""The follow-up call that chooses the frame of the poster."""
ENCODED = "video.encoding.quality.completed"
PENDING = frozenset({"waiting", "encoding"})
INGESTED = "ingested"

VideoId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
Address = Annotated[str, Field(max_length=2048)]


class _Pair(VendorDocument):
    key: str
    value: str | None = None


class _Assets(VendorDocument):
    hls: Address | None = None
    mp4: Address | None = None
    thumbnail: Address | None = None


class _Video(VendorDocument):
    id: VideoId = Field(validation_alias="videoId")
    created_at: AwareDatetime | None = Field(
        None, validation_alias=AliasChoices("createdAt", "publishedAt")
    )
    metadata: tuple[_Pair, ...] = ()
    assets: _Assets = _Assets()

    @property
    def attempt_id(self) -> UUID | None:
        """Our id, as we sent it."""
        values = (pair.value for pair in self.metadata if pair.key == OUR_ID)
        return base.echoed_id(next(values, None))


class _Page(VendorDocument):
    data: tuple[_Video, ...]
    pages: int = Field(1, validation_alias=AliasPath("pagination", "pagesTotal"))


class _Quality(VendorDocument):
    type: Literal["hls", "mp4"] = "hls"
    status: str


class _Status(VendorDocument):
    ingest: str = Field(validation_alias=AliasPath("ingest", "status"))
    playable: bool = Field(validation_alias=AliasPath("encoding", "playable"))
    qualities: tuple[_Quality, ...] = Field((), validation_alias=AliasPath("encoding", "qualities"))
    width: int | None = Field(None, validation_alias=AliasPath("encoding", "metadata", "width"))
    height: int | None = Field(None, validation_alias=AliasPath("encoding", "metadata", "height"))

    def ends(self, *types: str) -> Sequence[str]:
        """Return the statuses of the qualities of these types."""
        return [each.status for each in self.qualities if each.type in types]

    @property
    def pending(self) -> bool:
        """True while a quality is to be encoded."""
        return not self.qualities or bool(PENDING & set(self.ends("hls", "mp4")))


class _Refusal(VendorDocument):
    title: str
    name: str | None = None
    problems: tuple[Mapping[str, Any], ...] = ()


class _Event(VendorDocument):
    type: str
    video_id: VideoId = Field(validation_alias="videoId")
    encoding: str
    quality: str


class Settings(AccountSettings):
    """An account of api.video: one workspace."""

    api_key: SecretStr
    """API key of the workspace."""
    api_url: AnyHttpUrl = AnyHttpUrl("https://ws.api.video")
    """Address of the API; `https://sandbox.api.video` for a sandbox, whose limits are lower: set
    `WRITES_PER_SEC` to 0.6 and `READS_PER_SEC` to 0.8."""


class ApiVideo:
    """The adapter of one workspace of api.video."""

    def __init__(self, opening: base.Opening) -> None:
        settings: Settings = opening.settings
        self.name = opening.name
        self.capabilities = base.Capabilities(
            idempotent_submit=False,
            margin_sec=30,
            polls_first=True,
            poll_least_sec=POLL_LEAST_SEC,
            pace=PACE,
        )
        hosts = settings.output_hosts | {"*.api.video"}
        self.trust = base.Trust(hosts, settings.webhook_sources)
        self._http = transport.ProviderHttp(
            str(settings.api_url),
            headers=transport.basic_credentials(settings.api_key.get_secret_value(), SecretStr("")),
            timeout_sec=opening.timeout_sec,
            busy_header="X-RateLimit-Retry-After",
            explain=_explain,
        )

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._http.close()

    def submit(self, request: SubmitRequest) -> Submitted:
        """Create a video from the source's address."""
        ours = str(request.attempt_id)
        body = {
            "title": (request.title or "").strip()[:MAX_TITLE_CHARS] or ours,
            "source": request.source_url,
            "public": request.playback is Playback.PUBLIC,
            "mp4Support": True,
            "metadata": [{"key": OUR_ID, "value": ours}],
        }
        answer = self._http.submit("POST", VIDEOS, json=body)
        return Submitted(transport.read_acceptance(answer, _Video).id, answer.request_id)

    def advance(self, job: JobRef, follow_up: str) -> None:
        """Choose the frame of the poster. A time that api.video refuses leaves its own poster."""
        assert follow_up == POSTER
        timecode = {"timecode": _timecode(job.poster_time_sec or 0.0)}
        refused = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
        path = f"{_path(job.provider_job_id)}/thumbnail"
        self._http.ask("PATCH", path, json=timecode, absent=refused)

    def find(self, job: JobRef) -> ProviderStatus | None:
        """Search the videos by our id in their metadata."""
        video = self._search(job)
        return self._state(video, job) if video else None

    def fetch(self, job: JobRef) -> ProviderStatus | None:
        """GET the video and its status."""
        answer = self._http.ask("GET", _path(job.provider_job_id))
        return self._state(transport.read_answer(answer, _Video), job) if answer else None

    def cancel(self, job: JobRef) -> None:
        """DELETE the video, which ends its encoding."""
        found = None if job.provider_job_id else self._search(job)
        job_id = found.id if found else job.provider_job_id
        if job_id:
            self._http.ask("DELETE", _path(job_id))

    def list_since(self, instant: datetime) -> Iterator[ListedJob]:
        """Read the list of videos back to the instant. One without a time is listed too."""
        query = {"sortBy": "createdAt", "sortOrder": "desc", "pageSize": PAGE}
        for video in self._pages(query, count(1)):
            created_at = video.created_at or instant
            if created_at < instant:
                return
            yield ListedJob(video.id, created_at, video.attempt_id)

    def sign(self, address: str, kind: base.OutputKind, until: datetime) -> str:
        """Refuse: the token of a private video works once."""
        raise NotImplementedError

    def documents_for(self, envelope: CallbackEnvelope) -> Sequence[str]:
        """Return nothing: the secrets suffice."""
        del envelope
        return ()

    def verify_callback(
        self, envelope: CallbackEnvelope, secrets: Sequence[str], now: datetime
    ) -> SignedCallback:
        """Verify ``X-Api-Video-Signature``. An event is named by its video and quality."""
        del now  # no time is signed
        verify_api_video(envelope.headers, envelope.body, secrets)
        event = event_in(envelope.body)
        parts = (event.get(name) for name in ("type", "videoId", "encoding", "quality"))
        digest = digest_without(event, {"emittedAt"})
        return SignedCallback(event_id_of(envelope.body, *parts), digest=digest)

    def read_callback(self, envelope: CallbackEnvelope) -> LookAtJob | None:
        """Read an event: a quality that is encoded is a reason to look."""
        document = event_in(envelope.body)
        if document.get("type", ENCODED) != ENCODED:
            return None
        try:
            event = _Event.model_validate(document)
        except ValidationError as error:
            raise base.CallbackUnreadable("no event of api.video") from error
        return LookAtJob(event.video_id, event=f"{event.type} {event.encoding} {event.quality}")

    def _search(self, job: JobRef) -> _Video | None:
        query = {f"metadata[{OUR_ID}]": str(job.attempt_id)}
        videos = self._pages(query, range(1, MOST_PAGES + 1))
        return next((video for video in videos if video.attempt_id == job.attempt_id), None)

    def _pages(self, query: Mapping[str, Any], numbers: Iterable[int]) -> Iterator[_Video]:
        for number in numbers:
            asked = {**query, "currentPage": number}
            answer = self._http.ask("GET", VIDEOS, query=asked, absent=())
            assert answer is not None
            page = transport.read_answer(answer, _Page)
            yield from page.data
            if number >= page.pages:
                return
        raise TransientProviderError("provider_failed", "the list of videos does not end")

    def _state(self, video: _Video, job: JobRef) -> ProviderStatus | None:
        answer = self._http.ask("GET", f"{_path(video.id)}/status")
        if answer is None:
            return None
        status = transport.read_answer(answer, _Status)
        wants_poster = job.poster_time_sec is not None and not job.has_followed_up(POSTER)
        outputs = _outputs(video.assets, status, with_poster=not wants_poster)
        return ProviderStatus(
            provider_job_id=video.id,
            attempt_id=video.attempt_id,
            provider_request_id=answer.request_id,
            progress=_progress(status),
            follow_up=POSTER if outputs and wants_poster else None,
            **(_failure(status) or {"phase": _phase(status, outputs), "outputs": outputs}),
        )


ADAPTER = base.Adapter(Settings, ApiVideo, base.SecretFormat(check_opaque_secret, None))


def _path(video_id: str | None) -> str:
    return f"{VIDEOS}/{quote(video_id or '-', safe='')}"


def _timecode(time_sec: float) -> str:
    """Write a time as HH:MM:SS.hh."""
    minutes, hundredths = divmod(round(time_sec * 100), 6000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{hundredths // 100:02}.{hundredths % 100:02}"


def _explain(answer: transport.VendorAnswer) -> transport.VendorError:
    try:
        refusal = _Refusal.model_validate(read_document(answer.body))
    except ValueError:
        return transport.VendorError(f"answered {answer.status}")
    problems = [f"{each.get('name')}: {each.get('title')}" for each in refusal.problems]
    return transport.VendorError(transport.vendor_words(refusal.title, refusal.name, *problems))


def _progress(status: _Status) -> float | None:
    """Return the share of the qualities that are encoded: api.video tells no percent."""
    ends = status.ends("hls", "mp4")
    return 100.0 * ends.count("encoded") / len(ends) if ends else None


def _outputs(assets: _Assets, status: _Status, *, with_poster: bool) -> Outputs | None:
    if not status.playable or assets.hls is None:
        return None
    ends = status.ends("mp4")
    has_mp4 = "encoded" in ends if ends else not status.pending
    return Outputs(
        manifest_url=assets.hls,
        fallback_url=assets.mp4 if has_mp4 else None,
        poster_url=assets.thumbnail if with_poster else None,
        width=status.width,
        height=status.height,
    )


def _phase(status: _Status, outputs: Outputs | None) -> Phase:
    if outputs is None:
        # The ingest may still be called uploaded when qualities are encoded, so it decides last.
        is_known = status.ingest == INGESTED or status.qualities
        return Phase.RUNNING if is_known else Phase.WAITING
    return Phase.COMPLETED if outputs.is_complete and not status.pending else Phase.PLAYABLE


def _failure(status: _Status) -> Mapping[str, Any] | None:
    """Return the end of a video that will never be complete; None for any other."""
    if status.pending:
        return None
    if not status.playable and "failed" in status.ends("hls", "mp4"):
        return base.failed("encode_failed", "every quality failed", retryable=False)
    if status.playable and set(status.ends("mp4")) == {"failed"}:
        return base.failed("provider_failed", "the MP4 failed", retryable=True)
    return None
