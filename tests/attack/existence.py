"""A stranger who asks for a private video, and for one that does not exist."""

import re
from typing import Any
from uuid import uuid4

from tests.attack.rows import Row
from tests.attack.target import STRANGER, Target
from tests.integration.api.test_existence import ON_A_VIDEO, Probe

PRIVATE = ("{upload}", "{own}", "{source}", "stream", "create")
TOLD = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}")


def attack(target: Target) -> list[Row]:
    """Compare the answers about a signed video with those about nothing."""
    signed, nothing = target.publish("signed")["post_id"], str(uuid4())
    return [
        Row(
            "existence",
            f"{who or 'visitor'}: {probe.method} {probe.path}",
            _answer(target, probe, nothing, who),
            _answer(target, probe, signed, who),
        )
        for who in (None, STRANGER)
        for probe in ON_A_VIDEO
        if not any(word in f"{probe.path}{probe.body}" for word in PRIVATE)
    ]


def _answer(target: Target, probe: Probe, post_id: str, who: str | None) -> str:
    body: Any = {
        name: value.format(post=post_id) if isinstance(value, str) else value
        for name, value in (probe.body or {}).items()
    }
    options = {"json": body} if body else {}
    path = probe.path.format(post=post_id)
    answer = target.call(probe.method, path, owner=who, **options)
    text = TOLD.sub("-", answer.text.replace(post_id, "-"))
    return f"{answer.status_code}, {len(text)} bytes"
