import pytest

from tests.time_taken import CPU, Taken, taken_by_part


def report(nodeid: str, when: str, seconds: float, cpu_sec: float) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid,
        ("", 0, ""),
        {},
        "passed",
        None,
        when,  # type: ignore[arg-type]
        user_properties=[(CPU, cpu_sec)],
        duration=seconds,
    )


def test_set_up_and_teardown_count_and_a_test_counts_once() -> None:
    phases = [
        report("tests/unit/a/b/test_c.py::test_d", "setup", 1.0, 0.5),
        report("tests/unit/a/b/test_c.py::test_d", "call", 2.0, 0.25),
        report("tests/unit/a/test_e.py::test_f[g/h]", "setup", 4.0, 1.0),
        report("tests/test_i.py::test_j", "setup", 8.0, 2.0),
    ]
    assert taken_by_part(phases) == {
        "tests/unit/a": Taken(2, 7.0, 1.75),
        "tests": Taken(1, 8.0, 2.0),
        "all": Taken(3, 15.0, 3.75),
    }
