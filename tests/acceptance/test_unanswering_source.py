"""A server that accepts the connection and then says nothing."""

from pipeline.domain.failures import FAILURES
from tests.acceptance.stage import Stage, Video


def test_a_source_that_hangs_is_tried_again_and_given_up_with_an_explanation(
    stage: Stage, hanging: Video
) -> None:
    asset = stage.await_end(hanging)

    assert (asset["status"], asset["error_code"]) == ("failed", "retry_exhausted")
    timeout, exhausted = FAILURES["source_timeout"], FAILURES["retry_exhausted"]
    assert asset["error_message"] == (
        f"{timeout.sentence} {exhausted.sentence} {exhausted.next_step}"
    )
    assert asset["attempt"] == asset["max_attempts"]
    events = stage.events(hanging)
    types = [event["type"] for event in events if event["to_status"] in {"retrying", "failed"}]
    assert types == ["retry_scheduled"] * (asset["max_attempts"] - 1) + ["retry_exhausted"]
    assert {event["detail"]["code"] for event in events if event["type"] == "retry_scheduled"} == {
        "source_timeout"
    }
