"""Scopes of callers. A person's token has every scope of its role; a key has its named scopes."""

from collections.abc import Mapping
from enum import StrEnum


class Scope(StrEnum):
    """One right that a key may have."""

    ASSETS_READ = "assets:read"
    """Read the owner's videos and their chronicles, and follow them live."""
    ASSETS_WRITE = "assets:write"
    """Upload, register, retry, cancel, re-encode and delete the owner's videos."""
    PLAYBACK = "playback"
    """Get the addresses of the owner's signed videos, and nothing else about them."""
    OPERATOR_READ = "operator:read"
    """Read everything."""
    OPERATOR = "operator"
    """Read and change everything, and register videos for any owner."""


IMPLIED: Mapping[Scope, frozenset[Scope]] = {
    Scope.ASSETS_READ: frozenset({Scope.PLAYBACK}),
    Scope.ASSETS_WRITE: frozenset(),
    Scope.PLAYBACK: frozenset(),
    Scope.OPERATOR_READ: frozenset({Scope.ASSETS_READ, Scope.PLAYBACK}),
    Scope.OPERATOR: frozenset(Scope) - {Scope.OPERATOR},
}
"""Scopes that a scope includes besides itself."""

OF_OWNERS = frozenset({Scope.ASSETS_READ, Scope.ASSETS_WRITE, Scope.PLAYBACK})
"""Scopes of keys that act as an owner, and of every owner's token."""

OF_OPERATORS = frozenset({Scope.OPERATOR_READ, Scope.OPERATOR})
"""Scopes of keys that act as an operator."""


def with_implied(scopes: frozenset[Scope]) -> frozenset[Scope]:
    """Return these scopes and the scopes that they include."""
    return scopes.union(*(IMPLIED[scope] for scope in scopes))
