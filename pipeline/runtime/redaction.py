"""Removal of secrets from text before it is logged.

Two kinds of text are removed: the values of this process' own secrets, and text in the form of a
credential (a bearer token, a webhook secret, a media token in a path, a signed query). Our own code
logs no secrets; this is the second line of defence, for lines of libraries and tracebacks.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

REDACTED = "[redacted]"
SHORTEST = 8
"""Least length of a redacted value: a shorter one could be a word of ordinary text."""

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
    """Function that replaces secrets in text; threads may share it."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first, because one secret may be the beginning of another.
        known = sorted({s for s in secrets if len(s) >= SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        return _SHAPES.sub(REDACTED, text)


class RedactingFormatter(logging.Formatter):
    """Formatter that redacts the lines of another formatter, tracebacks included."""

    def __init__(self, inner: logging.Formatter | None, redact: Redactor) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Return the other formatter's line, redacted."""
        return self._redact(self._inner.format(record))


def redact_logs(logger: logging.Logger, redact: Redactor) -> None:
    """Make the present handlers of a logger write redacted lines; idempotent."""
    for handler in logger.handlers:
        if not isinstance(handler.formatter, RedactingFormatter):
            handler.setFormatter(RedactingFormatter(handler.formatter, redact))


def secrets_of(settings: BaseModel) -> list[str]:
    """Return every secret value in settings; for a URL its password, quoted and unquoted."""
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
