"""Every way an asset can fail: the code, the sentence for its owner, and what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """What a failure code means to the person who owns the video.

    Attributes:
        sentence: What happened, for a person.
        next_step: What to do about it.
        retryable: Whether the same source may succeed when tried again.
        refuses_source: Whether the fault lies in the source itself.
    """

    sentence: str
    next_step: str
    retryable: bool
    refuses_source: bool = False

    @property
    def message(self) -> str:
        """The sentence and the next step, as stored in ``error_message``."""
        return f"{self.sentence} {self.next_step}"


def _refused(sentence: str, next_step: str) -> Failure:
    return Failure(sentence, next_step, retryable=False, refuses_source=True)


_TRY_AGAIN = "Nothing is lost: try again in a few minutes."
_OTHER_FILE = "Upload another copy of the video."

FAILURES: Mapping[str, Failure] = {
    "unsupported_media": _refused(
        "This file is not a video we can read.",
        "Upload it as MP4, MOV, WebM or MKV.",
    ),
    "no_video_stream": _refused(
        "This file has no picture, only sound or data.",
        "Upload a file that contains video.",
    ),
    "source_corrupt": _refused("This video is damaged or incomplete.", _OTHER_FILE),
    "source_empty": _refused("This file is empty.", _OTHER_FILE),
    "source_too_large": _refused(
        "This video is larger than this site accepts.",
        "Upload a smaller or more compressed version.",
    ),
    "source_too_long": _refused(
        "This video is longer than this site accepts.",
        "Cut it and upload the parts.",
    ),
    "url_refused": _refused(
        "The address of this video is not one we may fetch.",
        "Give a public https address, or upload the file.",
    ),
    "source_unreachable": Failure(
        "The video could not be fetched from its address.",
        "Check that the address works without signing in, then try again.",
        retryable=True,
    ),
    "source_timeout": Failure(
        "Fetching the video from its address took too long.",
        "Try again, or upload the file.",
        retryable=True,
    ),
    "source_changed": Failure(
        "The video at this address changed while it was being processed.",
        "Try again once it no longer changes.",
        retryable=True,
    ),
    "quota_exceeded": Failure(
        "This video turned out to be more than its owner may still register today.",
        "Try again after midnight, UTC; what is more than a whole day's limit must be cut first.",
        retryable=True,
    ),
    "retry_exhausted": Failure(
        "Processing failed several times in a row.", _TRY_AGAIN, retryable=True
    ),
    "worker_crashed": Failure(
        "Processing this video kept stopping unexpectedly.",
        "Try again; if it fails once more, tell the operator.",
        retryable=True,
    ),
    "expired": Failure("Processing did not finish in time.", _TRY_AGAIN, retryable=True),
    "cancelled": Failure("Processing was cancelled.", "Try again to start over.", retryable=True),
    "provider_failed": Failure(
        "The processing service could not handle this video.",
        "Try again; if it fails once more, upload another copy.",
        retryable=True,
    ),
    "provider_refused": Failure(
        "The processing service refused this video.",
        "Tell the operator, then try again.",
        retryable=True,
    ),
    "playback_unsupported": Failure(
        "The processing service in use cannot keep this video from the public.",
        "Ask the operator for one that can, or register the video with public playback.",
        retryable=False,
    ),
    "insufficient_space": Failure(
        "The processing service has no room for this video at the moment.",
        "It is taken up by itself once there is room; if that lasts, tell the operator.",
        retryable=True,
    ),
    "encode_failed": Failure("The video could not be converted.", _OTHER_FILE, retryable=True),
    "output_rejected": Failure(
        "The processed video did not pass our checks.", _TRY_AGAIN, retryable=True
    ),
    "output_misplaced": Failure(
        "The processing service named files that are not its own to publish.",
        "Tell the operator, then try again.",
        retryable=True,
    ),
    "internal_error": Failure("Something went wrong on our side.", _TRY_AGAIN, retryable=True),
}
"""Failure codes an asset can carry; a code a provider invents is stored as ``provider_failed``."""


def failure_of(code: str) -> Failure:
    """The explanation of ``code``; an unknown one is explained as ``provider_failed``."""
    return FAILURES.get(code, FAILURES["provider_failed"])


def known_code(code: str | None) -> str:
    """``code`` if we can explain it, else ``provider_failed``."""
    return code if code is not None and code in FAILURES else "provider_failed"
