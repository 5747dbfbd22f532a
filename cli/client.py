"""A client of the HTTP API, independent of the command line."""

import mimetypes
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import jwt

from cli.api_requests import ApiProblem, Document, ask, open_session
from cli.file_upload import TicketedUpload, send_file

COMPLETE_TIMEOUT_SEC = (5.0, 120.0)
"""For the completion of an upload, which probes the whole file before it answers."""


def _ignore(_: int) -> None: ...


class ApiClient:
    """One caller at one API. Every method may raise `ApiProblem` and `ApiUnreachable`."""

    def __init__(self, address: str, token: str) -> None:
        """Prepare a client; it connects with its first request.

        Args:
            address: The API's address, such as ``http://127.0.0.1:8080``.
            token: A JWT, whose ``sub`` is the owner, or a server's key.
        """
        self.address = address.rstrip("/")
        self._token = token
        self._session = open_session(self.address, token=token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    @property
    def identity(self) -> str:
        """The address and the caller, the same for each new token of the caller."""
        try:
            caller = jwt.decode(self._token, options={"verify_signature": False})["sub"]
        except (jwt.PyJWTError, KeyError):
            caller = self._token  # a server's key
        return f"{self.address} {caller}"

    def upload(
        self, post_id: UUID, path: Path, *, on_bytes: Callable[[int], None] = _ignore
    ) -> str:
        """Get a ticket for a file of a post, send the file, and complete the upload.

        Args:
            post_id: The post that the file is for.
            path: The file; it is streamed.
            on_bytes: Called with the number of bytes just read for sending. For a large file
                several threads call it. A negative number takes bytes back that must be sent again.

        Returns:
            The id of the upload.
        """
        return self.send(self.ticket(post_id, path), path, on_bytes=on_bytes)

    def ticket(self, post_id: UUID, path: Path) -> Document:
        """Get a ticket: the right to send this file, and the requests that send it."""
        return self._call(
            "POST",
            "/api/uploads",
            json={
                "post_id": str(post_id),
                "filename": path.name,
                "size_bytes": path.stat().st_size,
                "mime_type": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
            },
        )

    def send(
        self, ticket: Document, path: Path, *, on_bytes: Callable[[int], None] = _ignore
    ) -> str:
        """Send the missing bytes of a file and complete its upload; see `upload`."""
        upload = TicketedUpload(self.address, ticket)
        send_file(upload, path, on_bytes)
        self._call("POST", f"/api/uploads/{upload.id}/complete", timeout=COMPLETE_TIMEOUT_SEC)
        return upload.id

    def is_open(self, ticket: Document) -> bool:
        """Tell if an upload can be continued."""
        try:
            upload = TicketedUpload(self.address, ticket).ask("GET")
        except ApiProblem:
            return False
        expires_at = datetime.fromisoformat(upload["expires_at"])
        return upload["completed_at"] is None and expires_at > datetime.now(UTC)

    def create(
        self,
        post_id: UUID,
        *,
        source_url: str | None = None,
        upload_id: str | None = None,
        title: str | None = None,
        poster_time_sec: float | None = None,
        playback: str | None = None,
        allow_original: bool | None = None,
    ) -> Document:
        """Register a video, made from either a URL or an upload.

        For the post and source of an earlier call the API returns the existing asset.
        """
        body = {
            "post_id": str(post_id),
            "source_url": source_url,
            "upload_id": upload_id,
            "title": title,
            "poster_time_sec": poster_time_sec,
            "playback": playback,
            "allow_original": allow_original,
        }
        given = {name: value for name, value in body.items() if value is not None}
        return self._call("POST", "/api/video-assets/create", json=given)

    def asset(self, post_id: UUID) -> Document:
        """Get the asset of a post."""
        return self._call("GET", f"/api/video-assets/{post_id}")

    def events(self, post_id: UUID, *, after: int = 0) -> Iterator[Document]:
        """Yield the chronicle's events with a number above ``after``, oldest first."""
        cursor: int | None = after
        while cursor is not None:
            page = self._call("GET", f"/api/video-assets/{post_id}/events?after={cursor}")
            yield from page["events"]
            cursor = page["next_after"]

    def retry(self, post_id: UUID) -> Document:
        """Retry a failed video. Not idempotent."""
        return self._call("POST", "/api/video-assets/retry", json={"post_id": str(post_id)})

    def cancel(self, post_id: UUID) -> Document:
        """Cancel the processing of a video."""
        return self._call("POST", f"/api/video-assets/{post_id}/cancel")

    def reencode(self, post_id: UUID) -> Document:
        """Process a completed video again."""
        return self._call("POST", f"/api/video-assets/{post_id}/reencode")

    def delete(self, post_id: UUID) -> Document:
        """Delete the video of a post."""
        return self._call("DELETE", f"/api/video-assets/{post_id}")

    def _call(self, method: str, path: str, **options: Any) -> Document:
        return ask(self._session, method, f"{self.address}{path}", **options)
