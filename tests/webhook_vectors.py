"""Callbacks as their schemes publish them, each with its source and what comes of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.net.provider_signatures import (
    verify_api_video,
    verify_cloudflare_stream,
    verify_mux,
)
from pipeline.net.signatures import verify

_TIMED = {
    "mux": verify_mux,
    "cloudflare_stream": verify_cloudflare_stream,
    "standard_webhooks": verify,
}


@dataclass(frozen=True)
class Published:
    """One callback; `expect` is `ok` or a `Rejection`."""

    scheme: str
    source: str
    secret: str
    body: bytes
    headers: Mapping[str, str]
    now: datetime
    expect: str

    def verify(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        secrets: Sequence[str] | None = None,
        now: datetime | None = None,
    ) -> object:
        """Verify it by its scheme, as it is but for what is said here."""
        sent = (
            self.headers if headers is None else headers,
            self.body if body is None else body,
            [self.secret] if secrets is None else secrets,
        )
        if self.scheme == "api_video":
            verify_api_video(*sent)
            return None
        return _TIMED[self.scheme](*sent, now=now or self.now)


def _read() -> list[Published]:
    schemes = json.loads(Path(__file__).with_suffix(".json").read_text())
    return [
        Published(
            scheme=scheme,
            source=vector["source"],
            secret=vector["secret"],
            body=vector["body"].encode(),
            headers=vector["headers"],
            now=datetime.fromtimestamp(vector["now"], UTC),
            expect=vector["expect"],
        )
        for scheme, vectors in schemes.items()
        for vector in vectors
    ]


PUBLISHED = _read()
GOOD = {vector.scheme: vector for vector in reversed(PUBLISHED) if vector.expect == "ok"}
"""The first good one of each scheme."""
PROVIDERS = tuple(scheme for scheme in GOOD if scheme != "standard_webhooks")
SIGNATURE_HEADER = {
    "mux": "mux-signature",
    "cloudflare_stream": "webhook-signature",
    "api_video": "x-api-video-signature",
}
