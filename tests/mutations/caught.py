"""The mutants, the laws they break, and the reasons for laws that no mutant breaks."""

from collections.abc import Mapping
from typing import NamedTuple

from tests.laws.law import Law
from tests.mutations.mutants import Mutant

TOKEN_GUARD = Mutant("records/store.py", "advance", "Asset.lease_token == asset.lease_token")
INTENT = Mutant(
    "lifecycle/submit.py",
    "_intend",
    "store.update_attempt(session, claim.attempt.id, intended_at=func.now())",
)
NONCE = Mutant("lifecycle/receive_callback.py", "receive_callback", ".on_conflict_do_nothing()")
SETTLED_ONCE = Mutant(
    "lifecycle/reconcile.py", "_settle", "if settled is None:\n    raise StaleTransition"
)
OLD_NEWS = Mutant(
    "domain/decide.py",
    "decide",
    "if not situation.current_attempt:\n    return Ignore('old_attempt')",
)
UNRAISED_TOKEN = Mutant(
    "records/transitions.py", "lease_taken_over", "'lease_token': Asset.lease_token + 1"
)
UNNUMBERED = Mutant("records/store.py", "advance", "values['last_seq'] = Asset.last_seq + 1")
UNFORGIVEN = Mutant(
    "lifecycle/publish.py", "publish", "releases.withdraw(session, report.attempt_id)"
)
REVIVED = Mutant(
    "domain/decide.py",
    "reason_to_ignore",
    "if situation.status is Status.FAILED and situation.error_code == 'cancelled':\n"
    "    return 'asset_cancelled'",
)
UNSWEPT_RELEASES = Mutant(
    "lifecycle/sweep.py",
    "sweep",
    "(lambda session: _unpaid_releases(services, session), wake_release)",
)
REOPENED_DEBT = Mutant("records/releases.py", "record_job", "released_at=_unless_unseen()")


class Caught(NamedTuple):
    """A play, and the law that a mutant breaks in it."""

    mutant: Mutant
    play: str
    law: Law


CAUGHT = (
    Caught(TOKEN_GUARD, "overtaken_before_its_intent", Law.ONE_JOB_PER_ATTEMPT),
    Caught(INTENT, "killed_after_its_call", Law.ONE_JOB_PER_ATTEMPT),
    Caught(NONCE, "called_back_twice", Law.CALLBACKS_COUNT_ONCE),
    Caught(SETTLED_ONCE, "overtaken_with_a_delivery", Law.CALLBACKS_COUNT_ONCE),
    Caught(OLD_NEWS, "failed_when_another_was_under_way", Law.NO_ORPHANS),
    Caught(UNRAISED_TOKEN, "killed_after_its_call", Law.TOKENS_RISE),
    Caught(UNNUMBERED, "called_back_twice", Law.NUMBERED_WITHOUT_GAP),
    Caught(UNFORGIVEN, "succeeded_after_it_was_given_up", Law.PUBLISHED_STAYS),
    Caught(REVIVED, "succeeded_after_it_was_cancelled", Law.ENDED_STAYS_ENDED),
    Caught(UNSWEPT_RELEASES, "succeeded_after_it_was_cancelled", Law.RELEASES_ARE_PAID),
    Caught(REOPENED_DEBT, "released_before_it_was_there", Law.NO_ORPHANS),
)

UNBROKEN: Mapping[Law, str] = {
    Law.CREATES_EXIST_ONCE: "the commit before the answer and a unique index of Postgres keep it",
    Law.DEEDS_ARE_RECORDED: "the event is in the transaction of the deed; Postgres keeps it",
    Law.CALLBACKS_ARE_STORED: "the row is committed before the answer; Postgres keeps it",
    Law.ONE_ATTEMPT_UNDER_WAY: "a setback owes the release and the next claim owes it again",
    Law.REPETITIONS_ARE_RECOGNISED: "the answer follows the unique index that NONCE drops",
    Law.FORGERIES_STAY_OUT: "tests/integration/api/test_callback_attacks.py forges each part",
    Law.ALL_ENDS: "the passes of the sweep keep it, as one of them keeps the releases",
    Law.CALLBACKS_ARE_SETTLED: "a pass of the sweep keeps it, as another keeps the releases",
    Law.LIVE_HAS_DEADLINE: "the CHECK live_has_deadline of the table refuses the row",
    Law.BUDGETS_HOLD: "tests/integration/pipeline/test_failures.py uses a budget up",
    Law.LIARS_GET_FEW_JOBS: "tests/unit/pipeline/domain/test_routing.py decides about a fourth job",
    Law.RECOVERED_IN_TIME: "it measures a whole run under attack",
    Law.COMPLETED_IS_PLAYABLE: "tests/integration/pipeline/test_gate.py refuses each bad output",
    Law.HISTORY_IS_LEGAL: "store.advance refuses every edge that is not in TRANSITIONS",
}
"""Their checks were seen to fail with violations planted in tests/unit/chaos/test_verdicts.py."""
