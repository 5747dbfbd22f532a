"""The measurement of a claimed video's source, or of the copy that takes its place."""

from dataclasses import replace

from pipeline.content.published_copy import GONE, copy_of, measure_copy
from pipeline.content.source import SourceRefused, measure
from pipeline.lifecycle.claim import Claim
from pipeline.lifecycle.reading_lease import ReadingLease
from pipeline.media.source_info import Measured
from pipeline.runtime.database import session_of
from pipeline.services import Services


def measure_claimed(services: Services, claim: Claim) -> tuple[Claim, Measured]:
    """Measure the source under the claim's lease, or the copy that takes its place.

    A worker that is told to stop reads no further.

    Raises:
        SourceRefused: Neither can be measured now.
        StaleTransition: The claim was lost meanwhile.
    """
    lease = ReadingLease(services, claim)
    with services.fetcher.cut_when(services.bounds.is_stopping):
        try:
            source = claim.source
            measured = measure(services, source, pinned=claim.pinned, on_bytes=lease.note_bytes)
        except SourceRefused as error:
            return _measure_copy(services, claim, error, lease)
    return claim, measured


def _measure_copy(
    services: Services, claim: Claim, refused: SourceRefused, lease: ReadingLease
) -> tuple[Claim, Measured]:
    """Take the published MP4 of a video on the move, whose original is gone.

    A refusal that may pass counts as final after as many waits as there are attempts.

    Raises:
        SourceRefused: The error of the original. If the copy cannot be read now and may be later,
            it is the copy's error.
    """
    asset = claim.asset
    is_last = asset.holds + 1 >= asset.max_attempts
    if asset.wanted_provider is None or refused.code not in GONE:
        raise refused
    if refused.transient and not is_last:
        raise refused
    with session_of(services.engine) as session:
        source = copy_of(services, session, asset, claim.attempt.created_at)
    if source is None:
        raise refused
    try:
        measured = measure_copy(services, asset, source, on_bytes=lease.note_bytes)
        return replace(claim, source=source), measured
    except SourceRefused as error:
        if error.transient:
            raise
        raise refused from error
