"""Failures of an asset: for each code the sentence for its owner and the next step."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.domain.faults import Fault


@dataclass(frozen=True)
class Failure:
    """Meaning of a failure code to the owner of the video.

    Attributes:
        sentence: The event, for a person.
        next_step: The action that may help.
        retryable: True if another attempt with the same source may succeed.
        fault: The party that the failure is charged to.
        refuses_source: True if nobody may be shown the source in place of the video.
    """

    sentence: str
    next_step: str
    retryable: bool
    fault: Fault
    refuses_source: bool = False

    @property
    def message(self) -> str:
        """The sentence and the next step, as stored in ``error_message``."""
        return f"{self.sentence} {self.next_step}"


def _refused(sentence: str, next_step: str) -> Failure:
    return Failure(sentence, next_step, retryable=False, fault=Fault.SOURCE, refuses_source=True)


_TRY_AGAIN = "The source is kept: try again in a few minutes."
_OTHER_FILE = "Upload another copy of the video."
_EXPORT = "Export it as MP4 (H.264 with AAC) and upload that."

FAILURES: Mapping[str, Failure] = {
    "unsupported_media": _refused(
        "This file is not a video in a supported format.",
        "Upload it as MP4, MOV, WebM or MKV.",
    ),
    "no_video_stream": _refused(
        "This file has no picture, only sound or data.",
        "Upload a file that contains video.",
    ),
    "source_encrypted": _refused(
        "This video is protected against copying.", "Upload a version without protection."
    ),
    "source_too_short": _refused(
        "This video is shorter than the processing service accepts.",
        "Upload a video of at least a second.",
    ),
    "source_unusual": _refused(
        "This file has more tracks, more frames a second or a longer side than players show.",
        _EXPORT,
    ),
    "source_unmeasurable": Failure(
        "Measuring this video takes more time or memory than is allowed.",
        "Try again; if it fails once more, export it as MP4 (H.264 with AAC) and upload that.",
        retryable=True,
        fault=Fault.SOURCE,
    ),
    "undecodable": Failure(
        "This video is whole, but we cannot decode it.",
        _EXPORT,
        retryable=False,
        fault=Fault.SOURCE,
    ),
    "source_corrupt": _refused("This video is damaged or incomplete.", _OTHER_FILE),
    "source_empty": _refused("This file is empty.", _OTHER_FILE),
    "source_too_large": _refused(
        "This file is larger than this site accepts.",
        "Upload a smaller or more compressed version.",
    ),
    "source_too_long": _refused(
        "This video is longer than this site accepts.",
        "Cut the video and upload the parts.",
    ),
    "url_refused": _refused(
        "The address of this video is not allowed.",
        "Give a public https address, or upload the file.",
    ),
    "source_unreachable": Failure(
        "The video could not be fetched from its address.",
        "Check that the address works without signing in, then try again.",
        retryable=True,
        fault=Fault.NETWORK,
    ),
    "source_timeout": Failure(
        "Fetching the video from its address took too long.",
        "Try again, or upload the file.",
        retryable=True,
        fault=Fault.NETWORK,
    ),
    "source_changed": Failure(
        "The video at this address changed while it was being processed.",
        "Try again when the file no longer changes.",
        retryable=True,
        fault=Fault.SOURCE,
    ),
    "quota_exceeded": Failure(
        "This video exceeds the size or the duration that its owner may still register today.",
        "Try again after midnight, UTC. Cut a video that exceeds the limit of a whole day.",
        retryable=True,
        fault=Fault.SOURCE,
    ),
    "retry_exhausted": Failure(
        "Processing failed several times in a row.",
        _TRY_AGAIN,
        retryable=True,
        fault=Fault.PROVIDER,
    ),
    "worker_crashed": Failure(
        "The workers that processed this video stopped unexpectedly several times.",
        "Try again; if it fails once more, tell the operator.",
        retryable=True,
        fault=Fault.SOURCE,
    ),
    "expired": Failure(
        "Processing did not finish in time.", _TRY_AGAIN, retryable=True, fault=Fault.PROVIDER
    ),
    "cancelled": Failure(
        "Processing was cancelled.", "Try again to start over.", retryable=True, fault=Fault.SOURCE
    ),
    "provider_failed": Failure(
        "The processing service could not handle this video.",
        "Try again; if it fails once more, export it as MP4 (H.264 with AAC) and upload that.",
        retryable=True,
        fault=Fault.PROVIDER,
    ),
    "provider_refused": Failure(
        "The processing service refused this video.",
        "Tell the operator, then try again.",
        retryable=True,
        fault=Fault.PROVIDER,
    ),
    "provider_busy": Failure(
        "The processing service has no room for this video at the moment.",
        "Processing starts when it has; there is nothing to do.",
        retryable=True,
        fault=Fault.PROVIDER,
    ),
    "provider_account": Failure(
        "The processing service does not accept our account.",
        "Processing starts when the operator has corrected the account.",
        retryable=True,
        fault=Fault.PROVIDER,
    ),
    "job_shared": Failure(
        "The processing service took this video for another one.",
        "Processing starts again by itself; if the wait is long, tell the operator.",
        retryable=True,
        fault=Fault.PROVIDER,
    ),
    "playback_unsupported": Failure(
        "The processing service cannot restrict the playback of this video.",
        "Ask the operator for another service, or register the video with public playback.",
        retryable=False,
        fault=Fault.PROVIDER,
    ),
    "insufficient_space": Failure(
        "The processing service has no room for this video at the moment.",
        "Processing starts when there is room; if the wait is long, tell the operator.",
        retryable=True,
        fault=Fault.HOST,
    ),
    "storage_unavailable": Failure(
        "Our storage cannot be read or written at the moment.",
        "Processing starts when it can; there is nothing to do.",
        retryable=True,
        fault=Fault.STORAGE,
    ),
    "host_unfit": Failure(
        "A machine of ours could not process any video.",
        "Processing starts on another one; there is nothing to do.",
        retryable=True,
        fault=Fault.HOST,
    ),
    "quarantined": Failure(
        "Converting this video stopped our machines several times, so it is set aside.",
        "Tell the operator, or upload another copy of the video.",
        retryable=False,
        fault=Fault.SOURCE,
    ),
    "encode_failed": Failure(
        "The video could not be converted.", _EXPORT, retryable=True, fault=Fault.PROVIDER
    ),
    "output_rejected": Failure(
        "The processed video did not pass our checks.",
        _TRY_AGAIN,
        retryable=True,
        fault=Fault.PROVIDER,
    ),
    "output_disagrees": Failure(
        "The processed video has another length than we measured in the uploaded file.",
        "Tell the operator; a new copy of the file, saved by another program, may help.",
        retryable=True,
        fault=Fault.PROVIDER,
    ),
    "output_repeated": Failure(
        "The processed video failed the same check twice.",
        "Tell the operator, then try again.",
        retryable=True,
        fault=Fault.PROVIDER,
    ),
    "output_misplaced": Failure(
        "The processing service named files outside of its own folder.",
        "Tell the operator, then try again.",
        retryable=True,
        fault=Fault.PROVIDER,
    ),
    "internal_error": Failure(
        "An error occurred in the pipeline itself.", _TRY_AGAIN, retryable=True, fault=Fault.US
    ),
}
"""Failure codes of an asset. An unknown code of a provider is stored as ``provider_failed``."""


def failure_of(code: str) -> Failure:
    """Return the explanation of ``code``, or of ``provider_failed`` for an unknown code."""
    return FAILURES[known_code(code)]


def known_code(code: str | None) -> str:
    """Return ``code`` if it is one of ``FAILURES``, else ``provider_failed``."""
    return code if code is not None and code in FAILURES else "provider_failed"
