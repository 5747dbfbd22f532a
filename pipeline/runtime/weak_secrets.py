"""Secrets that can be guessed: short, repetitive, in sequence, or known from documentation."""

import math
import re
from base64 import b64decode
from binascii import Error as Base64Invalid
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

KEY_CHARS = 22
"""Characters of 128 random bits in base64: the shortest key that a generator makes."""
KEY_BITS = 72
"""Bits of the estimate below. Random keys of 22 characters have 80 and more by it."""
PASSWORD_CHARS = 12
PASSWORD_BITS = 30
"""A password is tried over the network, a key on the attacker's own machine."""

SAMPLE_WORDS = (
    *("changeme", "changethis", "replaceme", "replacethis", "placeholder", "example", "sample"),
    *("secret", "password", "passw0rd", "passwort", "default", "insecure", "development"),
    *(
        "khronika",
        "supabase",
        "postgres",
        "minioadmin",
        "rabbitmq",
        "letmein",
        "qwerty",
        "1qaz2wsx",
    ),
)
"""Words of sample values. A random key has none of them: each has six characters or more."""

SAMPLES = frozenset(
    {
        "mfkq9r8gkyqrtwjupd8ilpzio2lalasw",  # Standard Webhooks' specification
        "plj3nmycdgbkinavdok15jsl",  # Svix' documentation
    }
)
"""Published secrets without such a word: letters and digits, in lower case."""

_PREFIX = re.compile(r"(whsec|sig_sec)_")
_LONGEST_TYPED = 200
"""Longer values are private keys, which no person makes up."""


def key_weakness(secret: str) -> str | None:
    """Return the reason why a key can be guessed; None if there is no sign of it."""
    return _weakness(secret, KEY_CHARS, KEY_BITS)


def password_weakness(password: str, user: str = "") -> str | None:
    """Return the reason why a password can be guessed; None if there is no sign of it."""
    if user and password.lower() == user.lower():
        return "is the name of its user"
    return _weakness(password, PASSWORD_CHARS, PASSWORD_BITS)


def _weakness(secret: str, least_chars: int, least_bits: float) -> str | None:
    plain = _PREFIX.sub("", secret, count=1)
    if len(plain) > _LONGEST_TYPED:
        return None
    if len(plain) < least_chars:
        return f"has fewer than {least_chars} characters"
    for spelling in (plain, *_decoded(secret, plain)):
        if _is_sample(spelling):
            return "is a sample value, or contains a word of one"
        if estimated_bits(spelling) < least_bits:
            return "repeats itself or counts up, so that it can be guessed"
    return None


def _decoded(secret: str, plain: str) -> tuple[str, ...]:
    """Return the text that a webhook secret encodes, if it encodes text."""
    if not secret.startswith("whsec_"):
        return ()
    try:
        text = b64decode(plain, validate=True).decode("ascii")
    except (Base64Invalid, UnicodeDecodeError, ValueError):
        return ()
    return (text,) if text.isprintable() else ()


def _is_sample(secret: str) -> bool:
    letters = "".join(filter(str.isalnum, secret.lower()))
    return letters in SAMPLES or any(word in letters for word in SAMPLE_WORDS)


def estimated_bits(secret: str) -> float:
    """Return the bits of a secret, by its characters and by the steps between them.

    Shannon's entropy of the observed frequencies, times the length. A repeated part counts once. A
    sequence such as ``abcdef`` has characters of many kinds, but steps of one.
    """
    unit = _repeated_unit(secret)
    steps = [ord(after) - ord(before) for before, after in pairwise(unit)]
    return min(_entropy(unit), _entropy(steps)) * len(unit)


def _repeated_unit(secret: str) -> str:
    for size in range(1, len(secret) // 2 + 1):
        if all(secret[at] == secret[at - size] for at in range(size, len(secret))):
            return secret[:size]
    return secret


def _entropy(values: Sequence[object]) -> float:
    counts = Counter(values).values()
    return sum(-count / len(values) * math.log2(count / len(values)) for count in counts)
