"""Account of Cloudflare Stream (https://developers.cloudflare.com/api/resources/stream/).

Our attempt id is the name and the creator of the video, so one call finds it again. The manifest
plays before every quality is encoded. The MP4 is made on request, and no callback tells its end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import quote, urlencode, urlsplit

from pydantic import (
    AnyHttpUrl,
    Field,
    SecretStr,
)

from pipeline.domain.values import (
    CallbackEnvelope,
    JobRef,
    ListedJob,
    LookAtJob,
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
from pipeline.providers.adapters.cloudflare_stream.video_reports import (
    DOWNLOADS,
    DetailedVideo,
    Result,
    StreamEnvelope,
    StreamMp4,
    StreamVerdict,
    StreamVideo,
    ready_status,
    status_of,
    unusable,
    video_of,
)
from pipeline.providers.callback_events import event_id_of
from pipeline.providers.playback_tokens import SigningAccountSettings
from pipeline.runtime.strict_json import read_document

HOSTS = frozenset({"*.cloudflarestream.com"})
PAGE = 500
"""Videos in an answer; the vendor gives a thousand at most, of some KiB each."""
TOKEN_LIFE = timedelta(hours=24)
"""Longest validity of a playback token (the vendor's page "Secure your Stream")."""


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
        accepted = transport.read_acceptance(answer, StreamEnvelope[StreamVideo])
        return Submitted(accepted.result.uid, answer.request_id)

    def advance(self, job: JobRef, follow_up: str) -> None:
        """POST the request for the MP4; a second one changes nothing."""
        assert follow_up == DOWNLOADS
        self._ask("POST", f"{_path(job)}/downloads", StreamMp4)

    def find(self, job: JobRef) -> ProviderStatus | None:
        """GET the videos with our name; the oldest is the job, should there be several."""
        found = sorted(self._find(job), key=lambda video: str(video.created))
        return self.fetch(replace(job, provider_job_id=found[0].uid)) if found else None

    def fetch(self, job: JobRef) -> ProviderStatus | None:
        """GET the video, and its MP4 as soon as the video plays."""
        asked = self._ask("GET", _path(job), DetailedVideo)
        if asked is None:
            return None
        video, request_id = asked
        if video.state != "ready":
            return status_of(video, request_id)
        downloads = self._ask("GET", f"{_path(job)}/downloads", StreamMp4)
        return ready_status(video, downloads[0] if downloads else StreamMp4(), request_id, job)

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
            video = video_of(body)
        except base.CallbackUnreadable:
            return SignedCallback(event_id_of(body, None), signed_at)
        event_id = event_id_of(body, video.uid, video.state, video.modified)
        facts = f"{event_id}:{video.attempt_id}:{video.fault}"
        return SignedCallback(event_id, signed_at, sha256(facts.encode()).hexdigest())

    def read_callback(self, envelope: CallbackEnvelope) -> ProviderStatus | LookAtJob | None:
        """Read a callback, which is the video. A video of another origin is ignored.

        A video that is ready is looked at, because its MP4 is not in the callback.
        """
        video = video_of(envelope.body)
        if video.attempt_id is None:
            return None
        if video.state == "ready":
            return LookAtJob(video.uid, video.attempt_id, video.state)
        return status_of(video, None)

    def _find(self, job: JobRef) -> list[StreamVideo]:
        found = self._list(video_name=str(job.attempt_id))
        return [video for video in found if video.attempt_id == job.attempt_id]

    def _list(self, **query: str) -> list[StreamVideo]:
        asked = self._ask("GET", f"?{urlencode({**query, 'limit': PAGE})}", list[StreamVideo])
        return asked[0] if asked else []

    def _ask(
        self, method: str, path: str, schema: type[Result]
    ) -> tuple[Result, str | None] | None:
        """Make a call that may be repeated, and return its result and its request id."""
        answer = self._http.ask(method, path)
        if answer is None:
            return None
        verdict = transport.read_answer(answer, StreamVerdict)
        if not verdict.success:
            raise unusable(verdict.words or "no success", answer.request_id)
        envelope = transport.read_answer(answer, StreamEnvelope[schema])  # type: ignore[valid-type]
        return envelope.result, answer.request_id


ADAPTER = base.Adapter(Settings, CloudflareStream, base.SecretFormat(check_opaque_secret, None))


def _path(job: JobRef) -> str:
    return f"/{quote(job.provider_job_id or '', safe='')}"


def _explain(answer: transport.VendorAnswer) -> transport.VendorError:
    try:
        words = StreamVerdict.model_validate(read_document(answer.body)).words
    except ValueError:
        words = ""
    return transport.VendorError(words or f"answered {answer.status}")
