"""Generator of reference pages: ``python -m pipeline.domain.reference_pages``.

It writes states.md, events.md, failures.md, audit.md and warnings.md to ``docs`` below the current
directory.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

from pipeline.domain.audit_types import AuditType
from pipeline.domain.events import EventType
from pipeline.domain.failures import FAILURES, Failure
from pipeline.domain.faults import Fault, waits
from pipeline.domain.output_warnings import SENTENCES, WarningCode
from pipeline.domain.states import TRANSITIONS, Status

GENERATED = "Generated from `pipeline/domain/{}.py` by `python -m pipeline.domain.reference_pages`."


def states_page() -> str:
    """Return docs/states.md: a diagram, the meaning of each state, the reason of each edge."""
    return _page(
        "# The states of an asset",
        "",
        GENERATED.format("states"),
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> queued",
        *(f"    {source} --> {target}" for source, target in TRANSITIONS),
        "```",
        "",
        "| state | meaning |",
        "|---|---|",
        *_rows(Status),
        "",
        "| from | to | when |",
        "|---|---|---|",
        *(f"| `{edge[0]}` | `{edge[1]}` | {reason} |" for edge, reason in TRANSITIONS.items()),
        "",
        "Every other change of state is refused and changes nothing.",
    )


def events_page() -> str:
    """Return docs/events.md: the meaning of each type of event in an asset's chronicle."""
    return _page(
        "# The events of the chronicle",
        "",
        GENERATED.format("events"),
        "",
        "| event | meaning |",
        "|---|---|",
        *_rows(EventType),
    )


def failures_page() -> str:
    """Return docs/failures.md: the party at fault for each failure code, and what follows."""
    return _page(
        "# The failures of a video",
        "",
        GENERATED.format("failures"),
        "",
        "Only a fault of the source ends a video at once. A failure that may pass holds it, with "
        "the code as its `hold_reason`, until its deadline "
        "(`KHRONIKA_WAIT_DEADLINE_SEC`, a day). A job that a provider took, and that failed, "
        "spends one of `KHRONIKA_MAX_ATTEMPTS`. At the end of the day or of the budget the video "
        "fails with the code of its last trouble; the event `expired` or `retry_exhausted` and "
        "the message say which of the two ended it.",
        "",
        "| fault | consequence |",
        "|---|---|",
        *_rows(Fault),
        "",
        "| code | fault | before a job | of a job that failed | sentence |",
        "|---|---|---|---|---|",
        *(_failure_row(code, failure) for code, failure in FAILURES.items()),
        "",
        "A *free* job is one of our own transcoder; a vendor may bill one that failed. A failure "
        "whose reporter says that it lasts ends the video, as an address does that is answered "
        "with 403, 404 or 410, whose name does not exist, or whose certificate is self-signed, "
        "revoked or of another name.",
    )


def _failure_row(code: str, failure: Failure) -> str:
    if failure.fault is Fault.SOURCE or not failure.retryable:
        before = of_job = "ends"
    else:
        is_free = waits(failure.fault, retryable=True, took_job=True, bills=False)
        before, of_job = "waits", "waits if free" if is_free else "spends one"
    return f"| `{code}` | {failure.fault} | {before} | {of_job} | {failure.sentence} |"


def audit_page() -> str:
    """Return docs/audit.md: the meaning of each type of event in the audit."""
    return _page(
        "# The events of the audit",
        "",
        GENERATED.format("audit_types"),
        "",
        "Each event has an instant, an actor, the address or machine that the request came from, "
        "the id of the request or of the run of a command, and the ids of what it concerns. It "
        "never has a secret. [How to check the audit](operations.md#the-audit).",
        "",
        "| event | meaning |",
        "|---|---|",
        *_rows(AuditType),
    )


def warnings_page() -> str:
    """Return docs/warnings.md: the meaning and the sentence of each warning of an output."""
    return _page(
        "# The warnings of an output",
        "",
        GENERATED.format("output_warnings"),
        "",
        "The member `warnings` of an asset's document lists the differences of the published "
        "outputs from their source, each with its code and its sentence. The event `warned` of "
        "the chronicle has the figures. Our own transcoder reports them; at other providers they "
        "are read from the manifest and compared with the measured source. They belong to the "
        "outputs: a new encode brings its own, a rollback those of the outputs that are published "
        "again.",
        "",
        "| code | meaning | sentence for the owner |",
        "|---|---|---|",
        *(
            f"{row} {SENTENCES[code]} |"
            for code, row in zip(WarningCode, _rows(WarningCode), strict=True)
        ),
    )


PAGES: Mapping[str, Callable[[], str]] = {
    "states.md": states_page,
    "events.md": events_page,
    "failures.md": failures_page,
    "audit.md": audit_page,
    "warnings.md": warnings_page,
}
"""Each generated page by its file in ``docs``."""


def _page(*lines: str) -> str:
    return "\n".join((*lines, ""))


def _rows(enum: type[StrEnum]) -> list[str]:
    """Return a table row for each member, with its docstring from the source.

    Python keeps no docstring for a member of an enum.
    """
    member = re.compile(
        r'^    ([A-Z_]+) = "[a-z_]+"[^\n]*\n    """(.+?)"""', re.DOTALL | re.MULTILINE
    )
    found = member.findall(inspect.getsource(enum))
    return [f"| `{enum[name]}` | {' '.join(meaning.split())} |" for name, meaning in found]


if __name__ == "__main__":
    for name, render in PAGES.items():
        Path("docs", name).write_text(render())
