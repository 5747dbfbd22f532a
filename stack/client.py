"""The demo's side of the HTTP API: what any client of the product does, in the same order."""

import mimetypes
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import jwt
import requests

TIMEOUT_SEC = (5.0, 60.0)
"""To connect; between two bytes. Completing an upload probes the whole file."""
CHUNK_BYTES = 256 * 1024
TOKEN_LIVES = timedelta(hours=6)

Json = dict[str, Any]


class ApiRefused(Exception):
    """The API answered with a problem; the message is its sentence and code."""


def make_token(environment: Mapping[str, str], owner: str, role: str | None = None) -> str:
    """A token such as the site would issue to a signed-in user; ``role`` for an operator's."""
    now = datetime.now(UTC)
    claims = {
        **({"role": role} if role else {}),
        "sub": owner,
        "iss": environment.get("KHRONIKA_JWT_ISSUER", "khronika"),
        "aud": environment.get("KHRONIKA_JWT_AUDIENCE", "authenticated"),
        "iat": now,
        "exp": now + TOKEN_LIVES,
    }
    return jwt.encode(claims, environment["KHRONIKA_JWT_SECRET"], algorithm="HS256")


class Client:
    """One owner's view of one running API."""

    def __init__(self, base_url: str, token: str) -> None:
        self._base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy has no business between us and loopback
        self._session.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def upload(self, post_id: UUID, path: Path, on_bytes: Callable[[int], None]) -> str:
        """Send a file: ticket, content, complete.

        Args:
            post_id: The post it is for.
            path: The file; streamed, never held whole.
            on_bytes: Called with the number of bytes just sent.

        Returns:
            The upload's id, for ``create``.
        """
        ticket = self._call(
            "POST",
            "/api/uploads",
            json={
                "post_id": str(post_id),
                "filename": path.name,
                "size_bytes": path.stat().st_size,
                "mime_type": mimetypes.guess_type(path)[0] or "video/mp4",
            },
        )
        with path.open("rb") as file:
            # The ticket is the authority: its own headers, not our token.
            answer = requests.request(
                ticket["method"],
                self._absolute(ticket["url"]),
                data=_Watched(file, on_bytes),
                headers=ticket["headers"],
                timeout=TIMEOUT_SEC,
            )
        _document(answer)
        self._call("POST", f"/api/uploads/{ticket['upload_id']}/complete")
        return str(ticket["upload_id"])

    def create(self, post_id: UUID, upload_id: str, title: str) -> Json:
        """Register the video."""
        body = {"post_id": str(post_id), "upload_id": upload_id, "title": title}
        return self._call("POST", "/api/video-assets/create", json=body)

    def asset(self, post_id: UUID) -> Json:
        """The asset as it is now."""
        return self._call("GET", f"/api/video-assets/{post_id}")

    def events(self, post_id: UUID, after: int) -> list[Json]:
        """What the chronicle says after the event with that number."""
        page = self._call("GET", f"/api/video-assets/{post_id}/events?after={after}")
        return list(page["events"])

    def fetch(self, url: str, *, first_bytes: int | None = None) -> requests.Response:
        """Get an output as a player would, without a token; optionally only its beginning."""
        headers = {"Range": f"bytes=0-{first_bytes - 1}"} if first_bytes else {}
        return requests.get(self._absolute(url), headers=headers, timeout=TIMEOUT_SEC)

    def _call(self, method: str, path: str, *, json: Json | None = None) -> Json:
        url = self._absolute(path)
        return _document(self._session.request(method, url, json=json, timeout=TIMEOUT_SEC))

    def _absolute(self, url: str) -> str:
        return url if "://" in url else f"{self._base_url}{url}"


class _Watched:
    """A file that tells how it is being read. It has a length, or requests would send chunks."""

    def __init__(self, file: IO[bytes], on_bytes: Callable[[int], None]) -> None:
        self._file = file
        self._on_bytes = on_bytes

    def __len__(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read():
            yield chunk

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        chunk = self._file.read(size)
        self._on_bytes(len(chunk))
        return chunk


def _document(answer: requests.Response) -> Json:
    if answer.status_code >= HTTPStatus.BAD_REQUEST:
        raise ApiRefused(_sentence(answer))
    return dict(answer.json())


def _sentence(answer: requests.Response) -> str:
    try:
        problem = answer.json()
        return f"{answer.status_code} {problem['code']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason}: {answer.text[:200]}"
