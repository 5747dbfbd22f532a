"""The harness tells of boundaries as long as a test observes them, and leaves nothing behind."""

import ast
from pathlib import Path
from threading import Thread

import pytest

from pipeline.domain.errors import TransientProviderError, UnknownOutcome
from pipeline.providers import manners
from tests.crashing.boundary import Boundary
from tests.crashing.harness import observed
from tests.crashing.interruptions import dying_at
from tests.crashing.points import POINTS, Point

ROOT = Path(__file__).parents[2]


def test_every_boundary_lies_at_a_point() -> None:
    assert {point.boundary for point in POINTS} == set(Boundary)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point.owner}-{point.name}")
def test_a_point_is_a_function_of_the_product(point: Point) -> None:
    module, _, class_name = point.owner.partition(":")
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    body: list[ast.stmt] = tree.body
    if class_name:
        body = next(s.body for s in body if isinstance(s, ast.ClassDef) and s.name == class_name)

    assert point.name in _names(body)


def _names(body: list[ast.stmt]) -> set[str]:
    """The functions that are defined in or imported into this body."""
    defined = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    imports = [node for node in body if isinstance(node, ast.ImportFrom)]
    return defined | {name.name for node in imports for name in node.names}


class Adapter:
    """Answers a submission with what it is given."""

    def submit(self, answer: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Adapter:
    """An adapter in the place of the product's."""
    for name in ("find", "fetch", "advance", "cancel"):
        monkeypatch.setattr(Adapter, name, lambda: None, raising=False)
    monkeypatch.setattr(manners, "Mannered", Adapter)
    return Adapter()


@pytest.mark.parametrize(
    ("answer", "boundary"),
    [
        ("a job", Boundary.SUBMIT_CALLED),
        (UnknownOutcome("provider_failed", "no answer"), Boundary.SUBMIT_UNANSWERED),
        (TransientProviderError("provider_failed", "busy"), Boundary.SUBMIT_REFUSED),
    ],
    ids=["accepted", "unanswered", "refused"],
)
def test_an_answer_is_followed_by_its_own_boundary(
    adapter: Adapter, answer: object, boundary: Boundary
) -> None:
    reached: list[Boundary] = []

    with observed(reached.append):
        try:
            adapter.submit(answer)
        except (UnknownOutcome, TransientProviderError) as error:
            assert error is answer  # noqa: PT017 - not every answer is an error

    assert reached == [boundary]


def test_a_worker_that_dies_there_goes_no_further(adapter: Adapter) -> None:
    went_on = False

    with dying_at(Boundary.SUBMIT_CALLED):
        adapter.submit("a job")
        went_on = True

    assert not went_on


def test_another_thread_is_not_observed(adapter: Adapter) -> None:
    reached: list[Boundary] = []

    with observed(reached.append):
        other = Thread(target=adapter.submit, args=["a job"])
        other.start()
        other.join()

    assert reached == []


def test_nothing_is_wrapped_any_more_after_the_last_observer(adapter: Adapter) -> None:
    original = Adapter.submit

    with observed(lambda _: None), observed(lambda _: None):
        assert Adapter.submit is not original

    assert Adapter.submit is original
