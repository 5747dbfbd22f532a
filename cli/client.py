"""The HTTP API, called as any client of the product would call it.

Independent of the command line, so that whatever else drives a running stack can use it too.
"""

import mimetypes
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import urljoin, urlsplit
from uuid import UUID

import requests

from cli.parts import Slice, Wire, digest_of, persistently, send_parts, whole

Document = dict[str, Any]

TIMEOUT_SEC = (5.0, 30.0)
"""To connect; between two bytes."""
COMPLETE_TIMEOUT_SEC = (5.0, 120.0)
"""Completing an upload probes the whole file before it answers."""
NOT_OURS = "not_our_api"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class ApiProblem(Exception):
    """The API refused the request.

    Attributes:
        status: The HTTP status.
        code: Machine-readable reason; ``http_<status>`` where the answer is no problem document.
        sentence: What happened, for a person.
        retryable: Whether the same request may succeed later.
        request_id: What to quote to an operator.
        errors: What is wrong with which part of the request.
    """

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(document.get("code") or f"http_{status}")
        self.sentence = str(document.get("detail") or document.get("title") or "No reason given.")
        self.retryable = bool(document.get("retryable", status >= HTTPStatus.INTERNAL_SERVER_ERROR))
        self.request_id = document.get("request_id")
        self.errors = list(document.get("errors") or [])
        super().__init__(f"{self.code}: {self.sentence}")


class ApiUnreachable(Exception):
    """No answer came.

    Attributes:
        address: Where it was asked for.
        refused: Nothing listens there, as opposed to an answer that broke off or came too late.
    """

    def __init__(self, address: str, *, refused: bool) -> None:
        self.address = address
        self.refused = refused
        super().__init__(
            f"Nothing listens at {address}." if refused else f"No answer from {address}."
        )


@dataclass(frozen=True)
class Source:
    """What a video is made from: exactly one of the two is set."""

    source_url: str | None = None
    upload_id: str | None = None

    def members(self) -> Document:
        """As members of the body of create."""
        given = {"source_url": self.source_url, "upload_id": self.upload_id}
        return {name: value for name, value in given.items() if value is not None}


class ApiClient:
    """One caller's view of one API. Every method raises `ApiProblem` and `ApiUnreachable`."""

    def __init__(self, address: str, token: str) -> None:
        """Connect lazily.

        Args:
            address: Where the API is, such as ``http://127.0.0.1:8080``.
            token: A JWT; its ``sub`` is the owner.
        """
        self.address = address.rstrip("/")
        self._session = _session(self.address, lambda request: _with_token(request, token))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def upload(
        self, post_id: UUID, path: Path, *, on_bytes: Callable[[int], None] = lambda _: None
    ) -> str:
        """Send a file for a post: ticket, content, checks.

        Args:
            post_id: The post it is for.
            path: The file; streamed, never held whole.
            on_bytes: Called with how many bytes have just been read for sending; of a large file
                from several threads, and with less than 0 where they have to be sent again.

        Returns:
            The upload's id, for `Source`.
        """
        return self.send(self.ticket(post_id, path), path, on_bytes=on_bytes)

    def ticket(self, post_id: UUID, path: Path) -> Document:
        """The right to send a file for a post, and how it is to be done."""
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
        self,
        ticket: Document,
        path: Path,
        *,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> str:
        """Send what has not arrived of a file, and have it checked; see `upload`."""
        upload_id = str(ticket["upload_id"])
        if ticket.get("parts"):
            send_parts(Wire(self._asking(ticket), _put_part, _may_pass), path, on_bytes)
        else:
            persistently(lambda: self._send(ticket, path, on_bytes), _may_pass)
        self._call("POST", f"/api/uploads/{upload_id}/complete", timeout_sec=COMPLETE_TIMEOUT_SEC)
        return upload_id

    def is_open(self, ticket: Document) -> bool:
        """Whether an upload that was begun may go on."""
        try:
            known = self._asking(ticket)("GET", "", None)
        except ApiProblem:
            return False
        expires_at = datetime.fromisoformat(known["expires_at"])
        return known["completed_at"] is None and expires_at > datetime.now(UTC)

    def create(
        self,
        post_id: UUID,
        source: Source,
        *,
        title: str | None = None,
        poster_time_sec: float | None = None,
        playback: str | None = None,
        allow_original: bool | None = None,
    ) -> Document:
        """Register a video. The same post and source again is the asset as it is."""
        said = {
            "title": title,
            "poster_time_sec": poster_time_sec,
            "playback": playback,
            "allow_original": allow_original,
        }
        body = {"post_id": str(post_id), **source.members()}
        body |= {name: value for name, value in said.items() if value is not None}
        return self._call("POST", "/api/video-assets/create", json=body)

    def asset(self, post_id: UUID) -> Document:
        """The video of a post as it is now."""
        return self._call("GET", f"/api/video-assets/{post_id}")

    def events(self, post_id: UUID, *, after: int = 0) -> Iterator[Document]:
        """The chronicle from the event after number ``after`` on, oldest first, page by page."""
        place: int | None = after
        while place is not None:
            page = self._call("GET", f"/api/video-assets/{post_id}/events?after={place}")
            yield from page["events"]
            place = page["next_after"]

    def retry(self, post_id: UUID) -> Document:
        """Try a failed video again. Not idempotent."""
        return self._call("POST", "/api/video-assets/retry", json={"post_id": str(post_id)})

    def cancel(self, post_id: UUID) -> Document:
        """End a video in progress."""
        return self._call("POST", f"/api/video-assets/{post_id}/cancel")

    def reencode(self, post_id: UUID) -> Document:
        """Process a completed video anew."""
        return self._call("POST", f"/api/video-assets/{post_id}/reencode")

    def delete(self, post_id: UUID) -> Document:
        """Delete the video of a post."""
        return self._call("DELETE", f"/api/video-assets/{post_id}")

    def _call(
        self,
        method: str,
        path: str,
        *,
        json: Document | None = None,
        timeout_sec: tuple[float, float] = TIMEOUT_SEC,
    ) -> Document:
        url = f"{self.address}{path}"
        return _ask(self._session, method, url, json=json, timeout=timeout_sec)

    def _asking(self, ticket: Mapping[str, Any]) -> Callable[[str, str, Document | None], Document]:
        """Ask about an upload, without our token: the ticket is the authority."""
        upload = f"{self.address}/api/uploads/{ticket['upload_id']}"

        def ask(method: str, path: str, body: Document | None) -> Document:
            with _bare_session(upload) as bare:
                return _ask(
                    bare,
                    method,
                    f"{upload}{path}",
                    json=body,
                    headers=ticket["headers"],
                    timeout=TIMEOUT_SEC,
                )

        return ask

    def _send(self, ticket: Mapping[str, Any], path: Path, on_bytes: Callable[[int], None]) -> None:
        """Send a file as the ticket says, without our token: the ticket is the authority."""
        url = urljoin(f"{self.address}/", ticket["url"])
        with _bare_session(url) as bare, path.open("rb") as file:
            told = {"Content-MD5": digest_of(whole(file, lambda _: None))}
            content = whole(file, on_bytes)
            try:
                _ask(
                    bare,
                    ticket["method"],
                    url,
                    data=content,
                    headers={**ticket["headers"], **told},
                    timeout=TIMEOUT_SEC,
                )
            except Exception:
                content.take_back()
                raise


def _put_part(request: Document, content: Slice) -> str:
    """Send a part to wherever its request says; the ETag of the answer."""
    with _bare_session(request["url"]) as bare:
        answer = _answered(
            bare,
            request["method"],
            request["url"],
            data=content,
            headers=request["headers"],
            timeout=TIMEOUT_SEC,
        )
    if not answer.ok:
        problem = _problem(answer)
        # A storage answers 400 to a part that was damaged or came too slowly, 403 to an address
        # that has ended: the next try has a new one.
        problem.retryable |= problem.code == NOT_OURS and answer.status_code in (400, 403)
        raise problem
    return answer.headers["ETag"]


def _may_pass(error: Exception) -> bool:
    return isinstance(error, ApiUnreachable) or (isinstance(error, ApiProblem) and error.retryable)


def _bare_session(url: str) -> requests.Session:
    return _session(url, lambda request: request)


def _session(
    url: str, sign: Callable[[requests.PreparedRequest], requests.PreparedRequest]
) -> requests.Session:
    session = requests.Session()
    # Set even where it changes nothing: without it a .netrc would replace the header.
    session.auth = sign
    # A proxy has no business between us and this machine.
    session.trust_env = urlsplit(url).hostname not in LOOPBACK
    return session


def _with_token(request: requests.PreparedRequest, token: str) -> requests.PreparedRequest:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _ask(session: requests.Session, method: str, url: str, **arguments: Any) -> Document:
    answer = _answered(session, method, url, **arguments)
    document = _parsed(answer)
    if document is None or not answer.ok:
        raise _problem(answer)
    return document


def _answered(
    session: requests.Session, method: str, url: str, **arguments: Any
) -> requests.Response:
    try:
        return session.request(method, url, allow_redirects=False, **arguments)
    except requests.RequestException as error:
        refused = isinstance(error, requests.ConnectionError) and "refused" in str(error)
        raise ApiUnreachable(_origin(url), refused=refused) from None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _problem(answer: requests.Response) -> ApiProblem:
    document = _parsed(answer)
    if document is not None:
        return ApiProblem(answer.status_code, document)
    # A proxy's page, a storage's, or something else entirely that listens at this address.
    return ApiProblem(
        answer.status_code,
        {"code": NOT_OURS, "detail": f"{_origin(answer.url)} does not answer as our API."},
    )


def _parsed(answer: requests.Response) -> Document | None:
    try:
        document = answer.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
