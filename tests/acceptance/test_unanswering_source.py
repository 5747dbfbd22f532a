"""A server that accepts the connection and then says nothing."""

from typing import Any

from tests.acceptance.stage import Stage, Video

TRIES = 4
"""One more than the budget of a stage has."""


def test_a_source_that_hangs_is_waited_for_at_no_cost(stage: Stage, hanging: Video) -> None:
    def was_tried_often(asset: dict[str, Any]) -> bool:
        return bool(asset["status"] == "retrying" and asset["attempt"] >= TRIES)

    asset = stage.await_asset(hanging, was_tried_often)

    assert asset["hold_reason"] == asset["error_code"] == "source_timeout"
    assert stage.books.asset(hanging.asset_id).failures == 0
    events = stage.events(hanging)
    left = [event["type"] for event in events if event["to_status"] in {"retrying", "failed"}]
    assert left == ["held"] * asset["attempt"]
