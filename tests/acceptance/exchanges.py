"""One request and its answer, kept as evidence, and how it may be shown."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

TIMEOUT_SEC = (5.0, 30.0)
REDACTED = "[redacted]"
SECRET_HEADERS = frozenset(
    {
        *("authorization", "cookie", "webhook-signature", "x-upload-token"),
        *("mux-signature", "x-api-video-signature", "x-khronika-secret"),
    }
)
MEDIA_TOKEN = re.compile(r"/media/(?!public/|videos/)[^/\"\s]+/")
"""The token in a signed address opens a folder for whoever has it."""

JWT = re.compile(r"\beyJ[\w-]{10,}\.[\w-]+\.[\w-]+")


@dataclass(frozen=True)
class Exchange:
    """A request as it was sent, and the answer as it came.

    Attributes:
        sent_at: When the request was complete on our side of the wire.
        answered_at: When the answer was.
    """

    sent_at: datetime
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    answered_at: datetime
    status: int
    answer_headers: Mapping[str, str]
    answer_body: bytes

    def header(self, name: str) -> str | None:
        """A header of the request, whatever its case."""
        return {key.lower(): value for key, value in self.headers.items()}.get(name.lower())

    @property
    def request_id(self) -> str:
        """What the API calls this request, in its answer and in its audit."""
        return self.answer_headers["X-Request-Id"]

    @property
    def document(self) -> Any:
        """The request's body as JSON."""
        return json.loads(self.body)

    @property
    def answer(self) -> Any:
        """The answer's body as JSON."""
        return json.loads(self.answer_body)


def send(
    method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Exchange:
    """Send a request of a story's own, byte for byte as given."""
    sent_at = datetime.now(UTC)
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(
            method, url, headers=headers, data=body, timeout=TIMEOUT_SEC, allow_redirects=False
        )
    parts = urlsplit(url)
    return Exchange(
        sent_at=sent_at,
        method=method,
        path=f"{parts.path}?{parts.query}" if parts.query else parts.path,
        headers=dict(headers or {}),
        body=body,
        answered_at=datetime.now(UTC),
        status=answer.status_code,
        answer_headers=answer.headers,
        answer_body=answer.content,
    )


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for a page: what would let a reader sign or sign in is left out."""
    return {
        name: REDACTED if name.lower() in SECRET_HEADERS else value
        for name, value in sorted(headers.items())
    }


def shown_body(body: bytes) -> str:
    """A body for a page: JSON laid out, addresses that open something closed."""
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        text = body.decode("utf-8", "replace")
    return MEDIA_TOKEN.sub(f"/media/{REDACTED}/", text)


def secrets_in(text: str, environment: Mapping[str, str]) -> list[str]:
    """Names of the stack's secrets whose values a text gives away, and of tokens in it."""
    found = [
        name
        for name, value in environment.items()
        for secret in _secrets_of(name, value)
        if secret in text
    ]
    return found + (["a bearer token"] if JWT.search(text) else [])


def _secrets_of(name: str, value: str) -> list[str]:
    if name.endswith("_URL"):
        password = urlsplit(value).password
        return [password, unquote(password)] if password else []
    if name.endswith("_ISSUERS"):
        return [issuer["secret"] for issuer in json.loads(value) if "secret" in issuer]
    if any(word in name for word in ("SECRET", "TOKEN", "PASSWORD")):
        return [part.removeprefix("whsec_") for part in value.split(",") if part]
    return []
