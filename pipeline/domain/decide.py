"""What a provider's word means for an asset: one pure decision for callbacks and polls alike.

The reducer knows nothing of databases or providers. It is called once with what is known, and
again with the gate's result when it asked for one.
"""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.domain.failures import known_code
from pipeline.domain.states import Status
from pipeline.domain.values import Phase, ProviderStatus


@dataclass(frozen=True)
class Standing:
    """Where the asset stands, seen from the attempt the news is about."""

    status: Status
    error_code: str | None
    deleted: bool
    current_attempt: bool
    current_generation: bool
    purged: bool


class GateResult(StrEnum):
    """What the gate said of the outputs."""

    PASSED = "passed"
    REJECTED = "rejected"
    MISPLACED = "misplaced"


OUTPUT_CODES = {
    GateResult.REJECTED: "output_rejected",
    GateResult.MISPLACED: "output_misplaced",
}


@dataclass(frozen=True)
class Verify:
    """Run the gate outside any transaction, then decide again."""


@dataclass(frozen=True)
class Publish:
    """Publish the outputs and complete. ``late`` when the attempt had been given up."""

    late: bool


@dataclass(frozen=True)
class FailAttempt:
    """The current attempt ended without outputs."""

    code: str
    message: str | None
    retryable: bool


@dataclass(frozen=True)
class Note:
    """Nothing to decide: note the progress, if any, and wait on."""

    progress: float | None


@dataclass(frozen=True)
class Ignore:
    """Old news, recorded with its reason."""

    reason: str


Decision = Verify | Publish | FailAttempt | Note | Ignore


def decide(
    standing: Standing,
    news: ProviderStatus,
    gate: GateResult | None = None,
    gate_detail: str | None = None,
) -> Decision:
    """Say what to do about the news.

    From an attempt that is not current only a success counts, only for the current generation,
    only while that generation has nothing published; everything for a cancelled or deleted asset
    is ignored.
    """
    reason = _why_nothing_counts(standing)
    if reason:
        return Ignore(reason)
    if news.phase is Phase.COMPLETED:
        return _on_success(standing, news, gate, gate_detail)
    if not standing.current_attempt:
        return Ignore("old_attempt")
    if standing.status is not Status.PROCESSING:
        return Ignore("not_processing")
    return _on_current(news)


def _why_nothing_counts(standing: Standing) -> str | None:
    if standing.deleted:
        return "asset_deleted"
    if standing.status is Status.FAILED and standing.error_code == "cancelled":
        return "asset_cancelled"
    if not standing.current_generation:
        return "old_generation"
    if standing.status is Status.COMPLETED:
        return "already_completed"
    if standing.purged:
        return "purged"
    return None


def _on_success(
    standing: Standing, news: ProviderStatus, gate: GateResult | None, gate_detail: str | None
) -> Decision:
    if news.outputs is None:
        return Ignore("no_outputs")
    if gate is None:
        return Verify()
    in_time = standing.current_attempt and standing.status is Status.PROCESSING
    if gate is GateResult.PASSED:
        return Publish(late=not in_time)
    code = OUTPUT_CODES[gate]
    if in_time:
        # Another encode may play; it would lie in the same wrong place.
        return FailAttempt(code, gate_detail, retryable=gate is GateResult.REJECTED)
    return Ignore(code)


def _on_current(news: ProviderStatus) -> Decision:
    match news.phase:
        case Phase.FAILED:
            return FailAttempt(known_code(news.error_code), news.error_message, news.retryable)
        case Phase.CANCELLED:
            # We did not ask for it, or the asset would not be processing: try again.
            return FailAttempt("provider_failed", "cancelled at the provider", retryable=True)
        case _:
            return Note(news.progress)
