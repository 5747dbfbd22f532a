"""How often the parts are looked at, however often anybody asks."""

from collections.abc import Mapping

from api.monitoring.readiness import FRESH_SEC, Readiness


def test_who_asks_again_and_again_is_told_what_one_look_found() -> None:
    looks = 0
    now = 100.0

    def look() -> Mapping[str, str]:
        nonlocal looks
        looks += 1
        return {"database": f"look {looks}"}

    readiness = Readiness(look, clock=lambda: now)

    assert [readiness.checks()["database"] for _ in range(3)] == ["look 1"] * 3
    now += FRESH_SEC
    assert readiness.checks() == {"database": "look 2"}
