"""The decision about a provider's report: one pure function for callbacks and polls alike.

``decide`` knows neither database nor provider. It is called with the facts of the row and the
report. If it asks for the gate, it is called again with the gate's result.
"""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.domain.failures import known_code
from pipeline.domain.states import Status
from pipeline.domain.values import Phase, ProviderStatus


@dataclass(frozen=True)
class Situation:
    """State of the asset, in relation to the attempt that the report is about.

    Attributes:
        current_attempt: The report is about the asset's current attempt.
        current_generation: The attempt belongs to the asset's current generation.
        purged: The attempt's files count as removed.
        published: Some outputs of the asset are published.
    """

    status: Status
    error_code: str | None
    deleted: bool
    current_attempt: bool
    current_generation: bool
    purged: bool
    published: bool = False


class GateResult(StrEnum):
    """Results of the gate's check of the outputs."""

    PASSED = "passed"
    REJECTED = "rejected"
    DISAGREES = "disagrees"
    MISPLACED = "misplaced"


OUTPUT_CODES = {
    GateResult.REJECTED: "output_rejected",
    GateResult.DISAGREES: "output_disagrees",
    GateResult.MISPLACED: "output_misplaced",
}


@dataclass(frozen=True)
class RunGate:
    """Order to run the gate outside any transaction and to decide again."""


@dataclass(frozen=True)
class Publish:
    """Order to publish the outputs and complete; ``late`` if the attempt was abandoned before."""

    late: bool


@dataclass(frozen=True)
class PublishPlayable:
    """Order to publish the outputs that there are; the attempt goes on."""


@dataclass(frozen=True)
class FailAttempt:
    """Order to end the current attempt: it has no outputs to publish."""

    code: str
    message: str | None
    retryable: bool


@dataclass(frozen=True)
class RecordProgress:
    """Order to record the progress, if any, and to keep waiting."""

    progress: float | None


@dataclass(frozen=True)
class Ignore:
    """Order to change nothing and to record the reason."""

    reason: str


Decision = RunGate | Publish | PublishPlayable | FailAttempt | RecordProgress | Ignore


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
    reason = reason_to_ignore(situation)
    if reason:
        return Ignore(reason)
    if report.phase is Phase.COMPLETED and not _is_partial(report):
        return _on_success(situation, report, gate, gate_detail)
    if not situation.current_attempt:
        return Ignore("old_attempt")
    if situation.status is not Status.PROCESSING:
        return Ignore("not_processing")
    if report.outputs is not None and not situation.published:
        return _on_playable(report, gate, gate_detail)
    return _on_current(report)


def _is_partial(report: ProviderStatus) -> bool:
    """Return true for a success that lacks an output: more is still to come."""
    return report.outputs is not None and not report.outputs.is_complete


def reason_to_ignore(situation: Situation) -> str | None:
    """Return the reason for which every report is ignored; None if its content decides."""
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
        return RunGate()
    in_time = situation.current_attempt and situation.status is Status.PROCESSING
    if gate is GateResult.PASSED:
        return Publish(late=not in_time)
    code = OUTPUT_CODES[gate]
    if in_time:
        # After a rejection another encode may pass the gate. After a misplacement it would write
        # to the same wrong place, and after a disagreement with our measurement of the source it
        # would have the same length.
        return FailAttempt(code, gate_detail, retryable=gate is GateResult.REJECTED)
    return Ignore(code)


def _on_playable(
    report: ProviderStatus, gate: GateResult | None, gate_detail: str | None
) -> Decision:
    """Publish a manifest that plays although other outputs are still to come.

    A manifest that the gate rejects may be incomplete: the attempt goes on.
    """
    if gate is None:
        return RunGate()
    if gate is GateResult.PASSED:
        return PublishPlayable()
    if gate is GateResult.MISPLACED:
        return FailAttempt(OUTPUT_CODES[gate], gate_detail, retryable=False)
    return RecordProgress(report.progress)


def _on_current(report: ProviderStatus) -> Decision:
    match report.phase:
        case Phase.FAILED:
            return FailAttempt(
                known_code(report.error_code), report.error_message, report.retryable
            )
        case Phase.CANCELLED:
            # The cancellation was not ours: an asset that we cancel leaves `processing`.
            return FailAttempt("provider_failed", "cancelled at the provider", retryable=True)
        case _:
            return RecordProgress(report.progress)
