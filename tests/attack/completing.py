"""One upload, completed by many requests at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from pipeline.records.models import Upload
from tests.attack.rows import Row
from tests.attack.target import OWNER, Target

CALLERS, REQUESTS, SIZE_BYTES = 16, 32, 1000


def attack(target: Target) -> list[Row]:
    """Complete an upload that is no video, at once and again."""
    post_id = str(uuid4())
    wanted = {"post_id": post_id, "filename": "a.mp4", "size_bytes": SIZE_BYTES}
    wanted |= {"mime_type": "video/mp4"}
    issued: dict[str, Any] = target.call(
        "POST", "/api/uploads", owner=OWNER, post_id=post_id, json=wanted
    ).json()
    sent = target.call(
        issued["method"], issued["url"], headers=issued["headers"], data=b"x" * SIZE_BYTES
    )
    path = f"/api/uploads/{issued['upload_id']}/complete"

    def complete(_: int) -> int:
        return target.call("POST", path, owner=OWNER).status_code

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = Counter(pool.map(complete, range(REQUESTS)))
    tried, others = f"{REQUESTS} requests at once", answers.keys() - {409, 422, 429}
    return [
        Row("parallel complete", "send the file", "200", str(sent.status_code)),
        Row("parallel complete", tried, "1 check", f"{_checks(target)} check"),
        Row("parallel complete", f"{tried}: other answers", "[]", str(sorted(others))),
    ]


def _checks(target: Target) -> int:
    checks: int = target.world.only(Upload).checks
    return checks
