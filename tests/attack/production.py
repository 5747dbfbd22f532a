"""A production with each unsafe setting."""

from tests.attack.rows import Row
from tests.attack.target import PATIENCE_SEC, Target
from tests.integration.stack.test_production_example import UNSAFE
from tests.unit.pipeline.runtime.test_unsafe_settings import CASES, refusal


def attack(target: Target) -> list[Row]:
    """Read each unsafe setting, and start each process of the API with all of its own."""
    rows = [
        Row(
            "open production",
            f"{process}: {name}",
            f"refused: {risk}",
            f"refused: {risk}"
            if f"KHRONIKA_ACCEPT_RISK={risk} " in refusal(process, changes)
            else "started",
        )
        for name, (process, risk, changes) in CASES.items()
    ]
    with target.process("web", UNSAFE["web"]) as (process, log):
        code = process.wait(PATIENCE_SEC)
    unnamed = [each for each in UNSAFE["web"] if f"{each}: " not in log.read_text()]
    seen = f"{'refused' if code else 'started'}, {len(unnamed)} unnamed"
    return [*rows, Row("open production", "start the API", "refused, 0 unnamed", seen)]
