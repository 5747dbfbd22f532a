from api.wiring.publish_breaker import FAILURES_TO_OPEN, OPEN_SEC, Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(FAILURES_TO_OPEN):
        assert breaker.allows()
        breaker.failed()
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    assert not opened(Clock()).allows()


def test_a_success_starts_the_count_over() -> None:
    breaker = Breaker(Clock())
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert breaker.allows()


def test_one_caller_is_let_through_when_the_time_is_up() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = OPEN_SEC
    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_its_success_closes_and_its_failure_opens_again() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = OPEN_SEC
    assert breaker.allows()
    breaker.failed()
    assert not breaker.allows()
    clock.now = 2 * OPEN_SEC
    assert breaker.allows()
    breaker.succeeded()
    assert [breaker.allows() for _ in range(3)] == [True] * 3
