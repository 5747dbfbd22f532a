import io
import logging

import pytest
from pydantic import BaseModel, SecretStr

from pipeline.runtime.redaction import REDACTED, Redactor, redact_logs, secrets_of

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJlLXBhcnQ"


class Inner(BaseModel):
    key: SecretStr


class Example(BaseModel):
    database_url: SecretStr = SecretStr("postgresql://api:p%40ssword-1@db:5432/khronika")
    token: SecretStr = SecretStr("a-token-of-the-provider")
    webhook_secrets: tuple[SecretStr, ...] = (SecretStr("whsec_bmV3ZXItc2VjcmV0"),)
    issuers: tuple[Inner, ...] = (Inner(key=SecretStr("an-issuers-own-secret")),)
    port: int = 8080
    name: str = "nothing secret"


def test_every_secret_of_settings_is_found_wherever_it_is_nested() -> None:
    found = set(secrets_of(Example()))
    assert {
        "p%40ssword-1",
        "p@ssword-1",
        "a-token-of-the-provider",
        "whsec_bmV3ZXItc2VjcmV0",
        "bmV3ZXItc2VjcmV0",
        "an-issuers-own-secret",
    } == found


def test_known_values_are_replaced_wherever_they_stand() -> None:
    redact = Redactor(secrets_of(Example()))
    for secret in secrets_of(Example()):
        assert redact(f'{{"detail": "could not use {secret}!"}}') == (
            f'{{"detail": "could not use {REDACTED}!"}}'
        )


@pytest.mark.parametrize(
    "leak",
    [
        JWT,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "khv_0123456789abcdef.0123456789abcdef",
        "ticket-or-any-other-opaque-value",
    ],
)
def test_what_looks_like_a_credential_is_replaced_although_nobody_configured_it(leak: str) -> None:
    assert leak not in Redactor()(f"Authorization: Bearer {leak}")


@pytest.mark.parametrize(
    ("line", "redacted"),
    [
        ("GET /media/WyJwcm9jZXNzZWQvMSIsMV0.abc-def/a.m3u8", "GET /media/[redacted]/a.m3u8"),
        ("GET /media/public/processed/1/2/a.m3u8", "GET /media/public/processed/1/2/a.m3u8"),
        (
            "GET /stream?post_ids=1&ticket=WyJhbmEiLDE3MDBd.abc-def",
            "GET /stream?post_ids=1&ticket=[redacted]",
        ),
        ("redis://:s3cret@127.0.0.1:6379/0", "redis://[redacted]@127.0.0.1:6379/0"),
        ("?X-Amz-Signature=0123456789abcdef0123&a=1", "?X-Amz-Signature=[redacted]&a=1"),
        ("post_id=3f2b6f0e-1 whsec_ short", "post_id=3f2b6f0e-1 whsec_ short"),
    ],
)
def test_shapes_are_replaced_and_ordinary_text_is_left_alone(line: str, redacted: str) -> None:
    assert Redactor()(line) == redacted


def fail(reason: str) -> None:
    raise RuntimeError(reason)


def test_a_traceback_is_redacted_too_and_wrapping_twice_changes_nothing() -> None:
    leak, stream = "a-token-of-the-provider", io.StringIO()
    logger = logging.getLogger("tests.of-a-library")
    logger.propagate = False
    logger.handlers = [logging.StreamHandler(stream)]
    for _ in range(2):
        redact_logs(logger, Redactor([leak]))
    try:
        fail(leak)
    except RuntimeError:
        logger.exception("it failed")
    written = stream.getvalue()
    assert leak not in written
    assert f"RuntimeError: {REDACTED}\n" in written
    assert "Traceback" in written
