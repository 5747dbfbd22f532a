"""Taking secrets out of text before it is written anywhere people look.

Two nets: the values that this process was configured with, wherever they turn up, and whatever has
the shape of a credential (a bearer token, a webhook secret, a media token in a path, a signed
query), configured here or not. Nothing should have to be caught; this is for the line of a
library, or of a traceback, that nobody thought of.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

REDACTED = "[redacted]"
SHORTEST = 8
"""Shorter values are words of ordinary text; a secret that short protects nothing."""

_SHAPES = re.compile(
    r"""
    eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*                     # JSON Web Token
    | whsec_[A-Za-z0-9+/=]{8,}                          # Standard Webhooks secret
    | khv_[\w.-]{16,}                                   # API key
    | (?<=/media/)(?!public/)[\w.%=-]{20,}(?=/)         # media token in a path
    | (?<=://)[^\s/:@"']*:[^\s/@"']+(?=@)               # user and password in a URL
    | (?<=X-Amz-Signature=)[0-9a-fA-F]{16,}             # signed query of object storage
    | (?<=[?&]ticket=)[\w.~%-]{20,}                     # stream ticket in a query
    | (?<=[Bb]earer\ )[\w.~+/=-]{8,}                    # any other bearer token
    """,
    re.VERBOSE,
)


class Redactor:
    """Replaces secrets in text. Safe to share between threads."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: one secret may be the beginning of another.
        known = sorted({s for s in secrets if len(s) >= SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """The text without them."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        return _SHAPES.sub(REDACTED, text)


class RedactingFormatter(logging.Formatter):
    """Another formatter's lines, tracebacks included, without their secrets."""

    def __init__(self, inner: logging.Formatter | None, redact: Redactor) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The line that would have been written, redacted."""
        return self._redact(self._inner.format(record))


def redact_logs(logger: logging.Logger, redact: Redactor) -> None:
    """Let every handler that a logger has now write redacted lines; idempotent."""
    for handler in logger.handlers:
        if not isinstance(handler.formatter, RedactingFormatter):
            handler.setFormatter(RedactingFormatter(handler.formatter, redact))


def secrets_of(settings: BaseModel) -> list[str]:
    """Every secret value in settings: of a URL its password, also as it stands unquoted."""
    return [part for secret in _secrets_in(dict(settings)) for part in _parts(secret)]


def _secrets_in(value: Any) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            yield from _secrets_in(dict(value))
        case dict():
            for item in value.values():
                yield from _secrets_in(item)
        case tuple() | list():
            for item in value:
                yield from _secrets_in(item)


def _parts(secret: str) -> list[str]:
    if "://" not in secret:
        return [secret, secret.removeprefix("whsec_")]
    password = urlsplit(secret).password
    return [password, unquote(password)] if password else []
