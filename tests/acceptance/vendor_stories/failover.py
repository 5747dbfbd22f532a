"""A vendor that refuses its account or is down, and our own transcoder, which takes over."""

from tests.acceptance import page
from tests.acceptance.account import tell_chronicle
from tests.acceptance.stories.success import claim_completed
from tests.acceptance.telling import Telling
from tests.acceptance.vendor_stage import VendorStage, VendorStory
from tests.acceptance.verification import FAILOVER
from tests.vendors.directed import OURS

MANY = 50
CASES = {
    "401": ("The vendor refuses the account", "account_problem"),
    "503": ("The vendor is down", "breaker_open"),
}
"""The answer to submissions, with the chapter and the reason that the chronicle gives."""


def tell(at: VendorStage, telling: Telling) -> None:
    """Let each trouble begin with a video, and see who completes it."""
    for status, (title, reason) in CASES.items():
        telling.chapter(title)
        at.open(OURS)
        at.fake.script["submit"] = [status] * MANY
        _tell_one(at, telling, status, reason)
        at.fake.script.clear()


def _tell_one(at: VendorStage, telling: Telling, status: str, reason: str) -> None:
    jobs = len(at.fake.jobs)
    video, _ = at.register(f"A video that {at.name} answers with {status}")
    asset = at.stage.await_end(video)
    attempts = at.stage.books.attempts(video.asset_id)
    claim_completed(telling, asset, attempt=len(attempts))
    accounts = [row.provider for row in attempts]
    telling.claim(
        f"Under one asset id, {page.code(at.name)} was tried first and {page.code(OURS)} completed "
        "it.",
        accounts[0] == at.name and accounts[-1] == asset["provider"] == OURS,
        accounts,
    )
    claimed = [row for row in at.stage.books.events(video.asset_id) if row.type == "claimed"]
    passed_over = claimed[-1].detail.get("passed_over")
    telling.claim(
        f"The chronicle says why: its last claim passed {page.code(at.name)} over as "
        f"{page.code(reason)}.",
        passed_over == {at.name: reason},
        passed_over,
    )
    failures = at.stage.books.asset(video.asset_id).failures
    telling.claim("It cost the video none of its retry budget.", failures == 0, failures)
    telling.claim("The vendor was billed for no job.", len(at.fake.jobs) == jobs)
    telling.show(
        f"Asset {page.code(video.asset_id)}. Its rows of `provider_attempts`:",
        page.attempts(attempts),
    )
    tell_chronicle(at.stage, telling, video)


STORY = VendorStory(
    name=FAILOVER,
    title="6. Failover: another account takes over",
    proves=(
        "A stack has two accounts. The first is at a **fake of the published contract** of Mux, "
        "which refuses the account or is down; the second is our own transcoder, which really "
        "encodes. A video goes from the one to the other under the same asset id, at no cost to "
        "its retry budget, and its chronicle says why."
    ),
    tell=tell,
)
