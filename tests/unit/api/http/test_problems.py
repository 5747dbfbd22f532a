from collections.abc import Iterator
from typing import Any

import pytest

from api.http.problems import STATUS_OF, from_domain
from pipeline.domain.errors import Busy, Conflict, DomainError, LimitReached, SignatureInvalid


def _kinds(root: type[DomainError]) -> Iterator[type[DomainError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _kinds(kind)


@pytest.mark.parametrize("kind", [*_kinds(DomainError)])
def test_every_domain_error_has_its_status(kind: type[DomainError]) -> None:
    needed: dict[str, Any] = {"retry_after_sec": 60} if kind in (Busy, LimitReached) else {}
    assert from_domain(kind("some_code", **needed)).status == STATUS_OF[kind]


def test_a_conflict_tells_the_state_it_is_with() -> None:
    error = Conflict("not_failed", "No.", status="queued", attempt=2)
    assert from_domain(error).current == {"status": "queued", "attempt": 2}


def test_why_a_signature_was_refused_stays_with_us() -> None:
    problem = from_domain(SignatureInvalid("signature_invalid", reason="stale_timestamp"))
    assert not problem.current
    assert "stale" not in problem.detail
