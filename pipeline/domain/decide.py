"""The decision about a provider's report: one pure function for callbacks and polls alike.

``decide`` knows neither database nor provider. It is called with the facts of the row and the
report; where it asks for the gate, it is called again with the gate's result.
"""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.domain.failures import known_code
from pipeline.domain.states import Status
from pipeline.domain.values import Phase, ProviderStatus


@dataclass(frozen=True)
class Situation:
    """The asset's state, as it bears on the attempt that the report is about.

    Attributes:
        current_attempt: The report is about the asset's current attempt.
        current_generation: The attempt belongs to the asset's current generation.
        purged: The attempt's files count as gone.
    """

    status: Status
    error_code: str | None
    deleted: bool
    current_attempt: bool
    current_generation: bool
    purged: bool


class GateResult(StrEnum):
    """Results of the gate's look at the outputs."""

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
    """End the current attempt: it has no outputs to publish."""

    code: str
    message: str | None
    retryable: bool


@dataclass(frozen=True)
class Note:
    """Keep the progress, if any, and wait on."""

    progress: float | None


@dataclass(frozen=True)
class Ignore:
    """Change nothing, and record the reason."""

    reason: str


Decision = Verify | Publish | FailAttempt | Note | Ignore


def decide(
    situation: Situation,
    report: ProviderStatus,
    gate: GateResult | None = None,
    gate_detail: str | None = None,
) -> Decision:
    """Decide about a report.

    From an attempt that is not current only a success counts, only for the current generation,
    and only while that generation has nothing published. Every report about a cancelled or
    deleted asset is ignored.
    """
    reason = _reason_to_ignore(situation)
    if reason:
        return Ignore(reason)
    if report.phase is Phase.COMPLETED:
        return _on_success(situation, report, gate, gate_detail)
    if not situation.current_attempt:
        return Ignore("old_attempt")
    if situation.status is not Status.PROCESSING:
        return Ignore("not_processing")
    return _on_current(report)


def _reason_to_ignore(situation: Situation) -> str | None:
    if situation.deleted:
        return "asset_deleted"
    if situation.status is Status.FAILED and situation.error_code == "cancelled":
        return "asset_cancelled"
    if not situation.current_generation:
        return "old_generation"
    if situation.status is Status.COMPLETED:
        return "already_completed"
    if situation.purged:
        return "purged"
    return None


def _on_success(
    situation: Situation, report: ProviderStatus, gate: GateResult | None, gate_detail: str | None
) -> Decision:
    if report.outputs is None:
        return Ignore("no_outputs")
    if gate is None:
        return Verify()
    in_time = situation.current_attempt and situation.status is Status.PROCESSING
    if gate is GateResult.PASSED:
        return Publish(late=not in_time)
    code = OUTPUT_CODES[gate]
    if in_time:
        # Another encode may pass the gate; it would write to the same wrong place.
        return FailAttempt(code, gate_detail, retryable=gate is GateResult.REJECTED)
    return Ignore(code)


def _on_current(report: ProviderStatus) -> Decision:
    match report.phase:
        case Phase.FAILED:
            return FailAttempt(
                known_code(report.error_code), report.error_message, report.retryable
            )
        case Phase.CANCELLED:
            # We did not ask for it, or the asset would not be processing: try again.
            return FailAttempt("provider_failed", "cancelled at the provider", retryable=True)
        case _:
            return Note(report.progress)
