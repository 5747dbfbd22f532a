from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from random import Random
from string import ascii_lowercase, digits
from uuid import UUID

import pytest

from pipeline.runtime.weak_secrets import key_weakness, password_weakness

MAKERS: dict[str, Callable[[Random], str]] = {
    "hexadecimal": lambda random: random.randbytes(16).hex(),
    "base64": lambda random: b64encode(random.randbytes(32)).decode(),
    "short base64": lambda random: urlsafe_b64encode(random.randbytes(16)).decode().rstrip("="),
    "letters": lambda random: "".join(random.choices(ascii_lowercase, k=32)),
    "a UUID": lambda random: str(UUID(bytes=random.randbytes(16), version=4)),
    "a webhook secret": lambda random: "whsec_" + b64encode(random.randbytes(24)).decode(),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))
def test_a_random_key_of_any_spelling_is_taken(make: Callable[[Random], str]) -> None:
    random = Random(1)
    assert [key for key in (make(random) for _ in range(500)) if key_weakness(key)] == []


def test_a_random_password_is_taken() -> None:
    random = Random(1)
    made = ("".join(random.choices(ascii_lowercase + digits, k=16)) for _ in range(500))
    assert [each for each in made if password_weakness(each, "khronika_api")] == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        "0" * 64,
        "deadbeef" * 8,
        "0123456789abcdef" * 4,
        "zyxwvutsrqponmlkjihgfedcba987654",
        "aabbccddeeffgghhiijjkkllmmnnoopp",
        "20261129" * 4,
        "qwertyuiopasdfghjklzxcvbnm1234567890",
        "your-256-bit-secret-goes-in-here-ok",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "whsec_C2FVsBQIhrsc",
        "k" * 31 + "l",
    ],
)
def test_a_key_that_a_person_made_up_or_copied_is_weak(key: str) -> None:
    assert key_weakness(key) is not None


@pytest.mark.parametrize(
    ("password", "user"),
    [
        *(("postgres", ""), ("short", ""), ("aaaaaaaaaaaaaaaa", ""), ("123456789012345", "")),
        *(("khronika_transcoder", "khronika_transcoder"), ("Video-Team-Login", "VIDEO-TEAM-LOGIN")),
    ],
)
def test_a_password_that_is_guessed_first_is_weak(password: str, user: str) -> None:
    assert password_weakness(password, user) is not None
