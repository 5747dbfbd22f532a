"""The calls of the product, wrapped as long as somebody observes the boundaries at them."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import wraps
from threading import Lock
from typing import Any

from tests.crashing.boundary import Boundary
from tests.crashing.points import POINTS, Point, When

Observer = Callable[[Boundary], None]

_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Call ``observer`` at every boundary that this thread reaches inside the block.

    An observer may raise to end a use case where a kill would have, or wait, to let a worker go on
    after the world has moved. The boundaries of modules that are not imported yet are not seen.
    """
    with _WRAPPING.held():
        token = _observer.set(observer)
        try:
            yield
        finally:
            _observer.reset(token)


class _Wrapping:
    """The wrappers, in place while one thread at least observes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._observers = 0
        self._wrappers = ExitStack()

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            if self._observers == 0:
                self._wrap()
            self._observers += 1
        try:
            yield
        finally:
            with self._lock:
                self._observers -= 1
                if self._observers == 0:
                    self._wrappers.close()

    def _wrap(self) -> None:
        for (path, name), points in _points_by_function().items():
            owner = _owner(path)
            if owner is not None:
                original = vars(owner)[name]
                setattr(owner, name, _wrapped(original, points))
                self._wrappers.callback(setattr, owner, name, original)


_WRAPPING = _Wrapping()


def _points_by_function() -> Mapping[tuple[str, str], Sequence[Point]]:
    found: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for point in POINTS:
        found[point.owner, point.name].append(point)
    return found


def _owner(path: str) -> Any:
    """Return the module or class; None if its module is not imported."""
    module, _, name = path.partition(":")
    owner = sys.modules.get(module)
    return getattr(owner, name) if owner is not None and name else owner


def _wrapped(function: Callable[..., Any], points: Sequence[Point]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1).f_code.co_name
        here = [point for point in points if point.caller in {"", caller}]
        _reach(here, When.BEFORE)
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            _reach([point for point in here if isinstance(error, point.error)], When.RAISED)
            raise
        if result is not False:
            _reach(here, When.AFTER)
        return result

    return call


def _reach(points: Sequence[Point], when: When) -> None:
    """Tell the observer of the first of these points at this moment."""
    observer = _observer.get()
    boundary = next((point.boundary for point in points if point.when is when), None)
    if observer is not None and boundary is not None:
        observer(boundary)
