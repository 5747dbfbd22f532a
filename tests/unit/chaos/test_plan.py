"""The seed decides everything."""

from itertools import islice

from tests.chaos.bounds import BACKLOG_SEC, LEASE_SEC, SETTINGS, recovery_sec
from tests.chaos.nemeses import NEMESES
from tests.chaos.plan import LASTS_SEC, Kind, make_plan
from tests.chaos.provider.script import repeat_answer, script_of


def test_the_same_seed_is_the_same_run() -> None:
    assert make_plan(7, 300) == make_plan(7, 300)


def test_another_seed_is_another_run() -> None:
    one, other = make_plan(7, 300), make_plan(8, 300)
    assert one.faults != other.faults
    assert one.arrivals != other.arrivals
    assert one.meddlings != other.meddlings


def test_every_nemesis_strikes_in_a_run_of_three_hundred_assets() -> None:
    for seed in range(1, 20):
        assert {fault.kind for fault in make_plan(seed, 300).faults} == set(Kind)


def test_every_fault_is_over_when_the_run_is() -> None:
    plan = make_plan(3, 300)
    assert all(fault.at_sec + fault.lasts_sec <= plan.length_sec for fault in plan.faults)


def test_the_schedule_begins_again_where_clients_need_longer() -> None:
    plan = make_plan(3, 300)
    count = len(plan.faults)
    faults = list(islice(plan.schedule(), 2 * count))
    assert faults[:count] == list(plan.faults)
    assert [fault.kind for fault in faults[count:]] == [fault.kind for fault in plan.faults]
    assert faults[count].at_sec == plan.faults[0].at_sec + plan.length_sec


def test_every_kind_has_a_nemesis_and_a_length() -> None:
    assert set(NEMESES) == set(LASTS_SEC) == set(Kind)


def test_a_stopped_worker_outlasts_its_lease() -> None:
    assert min(LASTS_SEC[Kind.STALE_WRITER]) > LEASE_SEC


def test_the_timeouts_of_the_run_nest_as_the_products_do() -> None:
    names = ("PROVIDER_TIMEOUT_SEC", "TASK_SOFT_LIMIT_SEC", "TASK_HARD_LIMIT_SEC", "LEASE_SEC")
    values = [float(SETTINGS[f"KHRONIKA_{name}"]) for name in names]
    assert values == sorted(set(values))


def test_the_provider_follows_the_seed_too() -> None:
    scripts = [script_of(5, number, 35.0) for number in range(50)]
    assert scripts == [script_of(5, number, 35.0) for number in range(50)]
    assert scripts != [script_of(6, number, 35.0) for number in range(50)]
    assert [repeat_answer(5, n) for n in range(50)] == [repeat_answer(5, n) for n in range(50)]


def test_a_machine_that_others_use_too_stretches_the_backlog_and_nothing_else() -> None:
    alone = recovery_sec(0.5)
    assert recovery_sec(2.0) == alone
    assert recovery_sec(6.0) == alone + 2 * BACKLOG_SEC
