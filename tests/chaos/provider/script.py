"""How the provider behaves towards its n-th job: drawn from the seed, decided before it comes."""

from dataclasses import dataclass
from random import Random

from tests.chaos.plan import weighted

ANSWERS = (
    ("accept", 66),
    ("accept, drop the reply", 7),
    ("429", 4),
    ("503", 4),
    ("500 before acceptance", 4),
    ("500 after acceptance", 4),
    ("slow, then accept", 4),
    ("accept, then slow", 4),
    ("accept, answer too late", 3),
)
"""To a job it has not seen, in percent."""

REPEAT_ANSWERS = (
    ("accept", 80),
    ("accept, drop the reply", 5),
    ("429", 5),
    ("503", 5),
    ("500 before acceptance", 5),
)
"""To a job it already has: even then its front door may be overloaded."""

FATES = (
    ("completes", 80),
    ("fails, retryable", 9),
    ("fails for good", 5),
    ("completes with a black poster", 3),
    ("overdue and deaf to cancelling", 3),
)

MANNERS = (
    ("normal", 44),
    ("duplicate", 12),
    ("late", 8),
    ("reordered", 8),
    ("conflicting", 8),
    ("forged", 7),
    ("stale-signed", 6),
    ("none", 7),
)
"""Of its callbacks."""

FAULTLESS = frozenset({"accept", "completes", "normal"})

QUESTIONS = (("answer", 93), ("503", 4), ("500", 3))
"""To GET and DELETE."""


@dataclass(frozen=True)
class Script:
    """One job's course.

    Attributes:
        answer: To the PUT.
        hold_sec: How long slow answers take; below the caller's timeout of 2 s.
        fate: What becomes of the job.
        work_sec: How long it runs.
        manner: How its callbacks come.
        late_sec: How late the late ones are.
    """

    answer: str
    hold_sec: float
    fate: str
    work_sec: float
    manner: str
    late_sec: float

    def faults(self) -> list[str]:
        """What about the job a well-behaved provider would not have; the answer is apart."""
        named = (("job", self.fate), ("callbacks", self.manner))
        return [f"{what}: {word}" for what, word in named if word not in FAULTLESS]


LIAR = "liar"
SLOW = "slow"
"""Accounts beside the ordinary one, ``selfhosted``, each with a temperament of its own."""

SILENT_JOBS = 4
"""Jobs that the liar accepts first and never finishes."""
REFUSED_JOBS = 12
"""Jobs that it refuses after them, as if it were down."""
LIE = "completes with a black poster"
"""The end of every later job of its: at once, and with nothing that plays."""


def liars_script(number: int, overdue_sec: float) -> Script:
    """The script of the liar's n-th new job."""
    if number <= SILENT_JOBS:
        fate = "overdue and deaf to cancelling"
        return Script("accept", 0.0, fate, overdue_sec, "late", 3.0)
    if number <= SILENT_JOBS + REFUSED_JOBS:
        return Script("503", 0.0, "completes", 0.0, "normal", 0.0)
    return Script("accept", 0.0, LIE, 0.05, "normal", 0.0)


CALM = Script("accept", 0.0, "completes", 0.5, "normal", 0.0)
"""Once the faults have stopped."""


def script_of(seed: int, number: int, overdue_sec: float) -> Script:
    """The script of the n-th PUT of a job that the provider has not taken yet.

    Args:
        overdue_sec: How long an overdue job runs: past the caller's deadline.
    """
    rng = Random(f"{seed} job {number}")
    fate = weighted(rng, FATES)
    work_sec = rng.uniform(0.2, 2.5)
    return Script(
        answer=weighted(rng, ANSWERS),
        hold_sec=rng.uniform(1.0, 1.7),
        fate=fate,
        work_sec=overdue_sec if fate.startswith("overdue") else work_sec,
        manner=weighted(rng, MANNERS),
        late_sec=rng.uniform(3.0, 7.0),
    )


def repeat_answer(seed: int, number: int) -> str:
    """The answer to the n-th repetition of any PUT."""
    return weighted(Random(f"{seed} repeat {number}"), REPEAT_ANSWERS)


def question_answer(seed: int, number: int) -> str:
    """The answer to the n-th GET or DELETE."""
    return weighted(Random(f"{seed} question {number}"), QUESTIONS)
