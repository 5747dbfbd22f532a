"""Statements and routes, compiled once in a process of tests.

SQLAlchemy compiles a statement once for each engine, and Werkzeug a route once for each
application: a process of the product has few of either, one of the tests makes thousands. Of the
CPU time of a test of a use case a tenth went there, of one of the API a fifth.
"""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

MOST_STATEMENTS = 2000
ROUTE_BUILDER = "_compile_builder"
"""Werkzeug's method that makes the function from a route's parameters to its address."""


class SharedStatements(LRUCache[Any, Any]):
    """Compiled statements of all engines that have the same kind of dialect."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_of_kind(key), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(_of_kind(key), compiled)


def _of_kind(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *statement = key
    return (type(dialect), *statement)


def pytest_configure(config: pytest.Config) -> None:
    """Let both libraries keep their results for the length of the run."""
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    patch.setattr(Engine, "__init__", _with_statements(Engine.__init__))
    patch.setattr(Rule, ROUTE_BUILDER, _once(getattr(Rule, ROUTE_BUILDER)))


def _with_statements(make: Callable[..., None]) -> Callable[..., None]:
    statements = SharedStatements(MOST_STATEMENTS)

    def make_with_statements(engine: Engine, *arguments: Any, **options: Any) -> None:
        make(engine, *arguments, **options)
        engine._compiled_cache = statements

    return make_with_statements


def _once(build: Callable[..., Any]) -> Callable[..., Any]:
    built: dict[tuple[Any, ...], Any] = {}

    def build_once(rule: Rule, append_unknown: bool = True) -> Any:
        if rule.defaults:
            return build(rule, append_unknown)
        key = (rule.rule, tuple(rule._trace), append_unknown)
        if key not in built:
            built[key] = build(rule, append_unknown)
        return built[key]

    return build_once
