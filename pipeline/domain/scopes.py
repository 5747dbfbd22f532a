"""What a caller may be let do. Tokens of people have all of their role's; keys have those named."""

from collections.abc import Mapping
from enum import StrEnum


class Scope(StrEnum):
    """One thing that a key may be given the right to."""

    ASSETS_READ = "assets:read"
    """See its owner's videos and their chronicles, and follow them live."""
    ASSETS_WRITE = "assets:write"
    """Upload, register, retry, cancel, encode anew and delete its owner's videos."""
    PLAYBACK = "playback"
    """Have the addresses of its owner's signed videos, and see nothing else of them."""
    OPERATOR_READ = "operator:read"
    """See everything."""
    OPERATOR = "operator"
    """See and change everything, and register videos for any owner."""


IMPLIED: Mapping[Scope, frozenset[Scope]] = {
    Scope.ASSETS_READ: frozenset({Scope.PLAYBACK}),
    Scope.ASSETS_WRITE: frozenset(),
    Scope.PLAYBACK: frozenset(),
    Scope.OPERATOR_READ: frozenset({Scope.ASSETS_READ, Scope.PLAYBACK}),
    Scope.OPERATOR: frozenset(Scope) - {Scope.OPERATOR},
}
"""What a scope brings besides itself."""

OF_OWNERS = frozenset({Scope.ASSETS_READ, Scope.ASSETS_WRITE, Scope.PLAYBACK})
"""Scopes of keys that act as an owner, and of every owner's token."""

OF_OPERATORS = frozenset({Scope.OPERATOR_READ, Scope.OPERATOR})
"""Scopes of keys that act as an operator."""


def with_implied(scopes: frozenset[Scope]) -> frozenset[Scope]:
    """These scopes and what they bring."""
    return scopes.union(*(IMPLIED[scope] for scope in scopes))
