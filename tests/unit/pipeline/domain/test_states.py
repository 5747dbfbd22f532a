from pipeline.domain.states import LIVE, TRANSITIONS, WAITING, Status, is_allowed


def test_there_are_five_states_and_no_more() -> None:
    assert {status.value for status in Status} == {
        "queued",
        "processing",
        "completed",
        "failed",
        "retrying",
    }


def test_every_edge_says_why() -> None:
    assert all(TRANSITIONS.values())
    assert len(TRANSITIONS) == 12


def test_an_edge_that_is_not_listed_does_not_exist() -> None:
    assert not is_allowed(Status.COMPLETED, Status.FAILED)
    assert not is_allowed(Status.COMPLETED, Status.PROCESSING)
    assert not is_allowed(Status.FAILED, Status.PROCESSING)
    assert all(not is_allowed(status, status) for status in Status)


def test_every_live_state_can_be_left_badly_and_well() -> None:
    for status in LIVE:
        assert is_allowed(status, Status.FAILED)
    assert WAITING < LIVE
