"""What an account's holder of a secret can send: any document, under a good signature."""

import json
import math
from copy import deepcopy
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.values import CallbackEnvelope, Phase
from pipeline.net.signatures import sign
from pipeline.providers.adapters.selfhosted import CALLBACKS
from pipeline.providers.base import CallbackUnreadable
from tests.fuzz.mutations import ANY_JSON, SCALARS, mutated
from tests.selfhosted_account import selfhosted_account

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
ADAPTER = selfhosted_account("http://127.0.0.1:9", token="token", timeout_sec=1)
JOB: dict[str, Any] = {
    "id": "00000000-0000-0000-0000-000000000007",
    "progress": 100,
    "result": {
        "manifest": "storage:a/master.m3u8",
        "fallback": "storage:a/video.mp4",
        "poster": "storage:a/poster.jpg",
        "thumbnail": "storage:a/thumb.jpg",
        "storyboard": "storage:a/storyboard.vtt",
        "duration_sec": 5.28,
        "width": 320,
        "height": 180,
        "bytes": 1000,
        "renditions": [{"profile": "240p"}],
    },
    "error": {"code": "encode_failed", "message": "it broke", "retryable": True},
}
PLACES = (
    *("type", "data", "data.job", "data.job.result", "data.job.error"),
    *(f"data.job.{name}" for name in ("id", "status", "progress")),
    *(f"data.job.result.{name}" for name in JOB["result"]),
    *(f"data.job.error.{name}" for name in JOB["error"]),
)
DOCUMENTED = st.builds(
    lambda type_, status: {"type": type_, "data": {"job": {**JOB, "status": status}}},
    st.sampled_from(sorted(CALLBACKS)),
    st.sampled_from(("queued", "running", "completed", "failed", "cancelled")),
)
WRONG = st.lists(st.tuples(st.sampled_from(PLACES), SCALARS | ANY_JSON), max_size=3)


def with_changes(document: dict[str, Any], changes: list[tuple[str, Any]]) -> dict[str, Any]:
    """The document with something else at some of its places."""
    changed = deepcopy(document)
    for place, value in changes:
        *parents, name = place.split(".")
        inner: Any = changed
        for parent in parents:
            inner = inner[parent] if isinstance(inner, dict) and parent in inner else None
        if isinstance(inner, dict):
            inner[name] = value
    return changed


DOCUMENTS = st.builds(with_changes, DOCUMENTED, WRONG)
BODIES = (DOCUMENTS | ANY_JSON).map(lambda document: json.dumps(document).encode())


@given(BODIES | BODIES.flatmap(mutated))
def test_a_signed_document_is_read_or_unreadable_and_nothing_else(body: bytes) -> None:
    envelope = CallbackEnvelope(sign(SECRET, "evt_1", NOW, body), body)
    ADAPTER.verify_callback(envelope, [SECRET], NOW)
    try:
        status = ADAPTER.read_callback(envelope)
    except CallbackUnreadable:
        return
    if status is None:
        return
    assert status.phase in Phase
    assert status.provider_job_id == str(status.attempt_id)
    assert status.progress is not None
    assert 0 <= status.progress <= 100
    assert (status.outputs is not None) == (status.phase is Phase.COMPLETED)
    assert (status.error_code is not None) == (status.phase is Phase.FAILED)
    if status.outputs is not None:
        assert 0 < (status.outputs.duration_sec or 0) < math.inf
        assert status.outputs.manifest_url
    json.dumps(asdict(status), default=str, allow_nan=False).encode()
