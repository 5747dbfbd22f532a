"""The words of AWS Elemental MediaConvert about a job, in its answers and its events, in ours."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from pydantic import (
    AliasChoices,
    AliasGenerator,
    AliasPath,
    AwareDatetime,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic.alias_generators import to_camel, to_pascal

from pipeline.domain.values import Outputs, Phase, ProviderStatus
from pipeline.providers.base import CallbackUnreadable, echoed_id, failed, percent_of
from pipeline.providers.transport import VendorDocument, vendor_words
from pipeline.runtime.strict_json import DocumentRefused, read_document

PHASES = {
    "SUBMITTED": Phase.WAITING,
    "PROGRESSING": Phase.RUNNING,
    "STATUS_UPDATE": Phase.RUNNING,
    "COMPLETE": Phase.COMPLETED,
    "CANCELED": Phase.CANCELLED,
    "ERROR": Phase.FAILED,
}
"""Phase of each status that we use. Others, such as ``NEW_WARNING``, come in events only."""
ENDED = frozenset({Phase.COMPLETED, Phase.CANCELLED, Phase.FAILED})
ERRORS: Mapping[int, tuple[str, bool]] = {
    **dict.fromkeys((1020,), ("no_video_stream", False)),
    # 1030 names a codec, 3400 a bad request to the server of the input.
    **dict.fromkeys((1030,), ("undecodable", False)),
    **dict.fromkeys((1075, 1076, 1092), ("source_corrupt", False)),
    # 1010 cannot open the input, for whatever reason.
    **dict.fromkeys((1010, 3400, 3401, 3403, 3404), ("source_unreachable", False)),
    **dict.fromkeys((3408, 3450, 3451, 3999), ("source_unreachable", True)),
    **dict.fromkeys((1050, 1507), ("insufficient_space", True)),
    **dict.fromkeys((1550, 1999), ("encode_failed", True)),
    # The role, or its rights to the bucket.
    **dict.fromkeys((1401, 1404, 1432, 1433, 1434, 1515, 3457), ("provider_refused", False)),
}
"""Our code of an error, and true if a new attempt may succeed (the service's user guide, "Error
codes"). A code that is not among them is final. A job that ends in an error is not billed."""
MILLISEC = 1000


class _Read(VendorDocument):
    """A document: an event spells its members in camel case, boto3 those of an answer in Pascal."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(
            validation_alias=lambda name: AliasChoices(to_camel(name), to_pascal(name))
        ),
    )


class _Video(_Read):
    width_in_px: int
    height_in_px: int


class _Made(_Read):
    duration_in_ms: int | None = None
    video_details: _Video | None = None


class _Group(_Read):
    output_details: tuple[_Made, ...] = ()


class JobReport(_Read):
    """A job. Its user metadata names our attempt, and the keys of the outputs in our storage."""

    id: str = Field(pattern=r"^[\x21-\x7e]{1,128}$", validation_alias=AliasChoices("jobId", "Id"))
    status: str
    user_metadata: Mapping[str, str] = Field(default_factory=dict)
    created_at: AwareDatetime | None = None
    percent: float | None = Field(
        None,
        validation_alias=AliasChoices(
            AliasPath("jobProgress", "jobPercentComplete"), "JobPercentComplete"
        ),
    )
    error_code: int | None = None
    error_message: str | None = None
    output_group_details: tuple[_Group, ...] = ()

    @property
    def attempt_id(self) -> UUID | None:
        """Our attempt's id; None for a job of another origin."""
        return echoed_id(self.user_metadata.get("attempt_id"))

    @property
    def length_sec(self) -> float | None:
        """Length of the outputs; None before they are made."""
        made = [each for group in self.output_group_details for each in group.output_details]
        lengths = [each.duration_in_ms for each in made if each.duration_in_ms]
        return max(lengths) / MILLISEC if lengths else None


class JobAnswer(_Read):
    """The answer to a call about one job."""

    job: JobReport


class JobPage(_Read):
    """A page of jobs."""

    jobs: list[JobReport]
    next_token: str | None = None


class JobEvent(_Read):
    """An event of EventBridge about a job."""

    id: str = ""
    detail: JobReport


def event_of(body: bytes) -> JobEvent:
    """Read an event.

    Raises:
        CallbackUnreadable: It is not as documented.
    """
    try:
        return JobEvent.model_validate(read_document(body))
    except (DocumentRefused, ValidationError) as error:
        raise CallbackUnreadable("not an event of a job as documented") from error


class JobUndocumented(ValueError):
    """A job whose status or metadata is not as documented."""


def news_of(event: JobEvent) -> ProviderStatus | None:
    """Report an event; None for a job of another origin, or a status that changes nothing.

    Raises:
        CallbackUnreadable: The job is completed, and its metadata do not name its outputs.
    """
    job = event.detail
    if job.attempt_id is None or job.status not in PHASES:
        return None
    try:
        return status_of(job, None)
    except JobUndocumented as error:
        raise CallbackUnreadable(str(error)) from error


def status_of(job: JobReport, request_id: str | None) -> ProviderStatus:
    """Report a job.

    Raises:
        JobUndocumented: It cannot be reported.
    """
    phase = PHASES.get(job.status)
    if phase is None:
        raise JobUndocumented("a status that is not documented")
    status = ProviderStatus(
        phase=phase,
        attempt_id=job.attempt_id,
        provider_job_id=job.id,
        provider_request_id=request_id,
        progress=percent_of(job.percent) if phase is Phase.RUNNING else None,
        outputs=_outputs(job) if phase is Phase.COMPLETED else None,
    )
    if phase is not Phase.FAILED:
        return status
    code, retryable = ERRORS.get(job.error_code or 0, ("provider_failed", False))
    words = vendor_words(f"{job.error_code}", job.error_message)
    return replace(status, **failed(code, words, retryable=retryable))


def _outputs(job: JobReport) -> Outputs:
    try:
        manifest, fallback, poster = (
            f"storage:{job.user_metadata[name]}" for name in ("manifest", "fallback", "poster")
        )
    except KeyError as error:
        raise JobUndocumented("a job without the places of its outputs") from error
    ladder = job.output_group_details[0].output_details if job.output_group_details else ()
    pictures = [made.video_details for made in ladder if made.video_details is not None]
    largest = max(pictures, key=lambda each: each.height_in_px, default=None)
    return Outputs(
        manifest_url=manifest,
        fallback_url=fallback,
        poster_url=poster,
        duration_sec=job.length_sec,
        width=largest.width_in_px if largest else None,
        height=largest.height_in_px if largest else None,
        renditions=[
            {
                "profile": f"{min(each.width_in_px, each.height_in_px)}p",
                "width": each.width_in_px,
                "height": each.height_in_px,
            }
            for each in pictures
        ],
    )
