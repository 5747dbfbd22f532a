"""HTTP requests to the API and to its storage, and the errors that they end in."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests

Document = dict[str, Any]
"""A JSON object."""

TIMEOUT_SEC = (5.0, 30.0)
"""The longest wait for a connection, and between two bytes."""
NOT_OURS = "not_our_api"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class ApiProblem(Exception):
    """Refusal of a request by the API.

    Attributes:
        status: The HTTP status.
        code: Machine-readable reason; ``http_<status>`` where the answer names none.
        sentence: The reason, for a person.
        retryable: Whether the same request may succeed later.
        request_id: The id that an operator finds the request by.
        errors: The invalid parts of the request, each with its message.
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
    """Absence of an answer.

    Attributes:
        refused: Nothing listens at the address. If false, the answer broke off or came too late.
    """

    retryable = True

    def __init__(self, url: str, *, refused: bool) -> None:
        self.refused = refused
        missing = "Nothing listens at" if refused else "No answer from"
        super().__init__(f"{missing} {_origin(url)}.")


def open_session(url: str, *, token: str | None = None) -> requests.Session:
    """Open a session that sends this token and no other credentials."""
    session = requests.Session()
    # Without an auth of its own, a session takes one from .netrc and replaces the header by it.
    session.auth = lambda request: request
    if token is not None:
        session.headers["Authorization"] = f"Bearer {token}"
    # Requests to this machine do not go through a proxy.
    session.trust_env = urlsplit(url).hostname not in LOOPBACK
    return session


def ask(
    session: requests.Session, method: str, url: str, *, timeout: Any = TIMEOUT_SEC, **options: Any
) -> Document:
    """Send a request to the API and return the JSON object of its answer.

    Raises:
        ApiProblem: the API refused, or the answer is none of the API's.
        ApiUnreachable: no answer came.
    """
    answer = send(session, method, url, timeout=timeout, **options)
    document = _json_object(answer)
    if document is None or not answer.ok:
        raise problem_of(answer)
    return document


def send(
    session: requests.Session, method: str, url: str, *, timeout: Any = TIMEOUT_SEC, **options: Any
) -> requests.Response:
    """Send a request and return its answer, a redirect included.

    Raises:
        ApiUnreachable: no answer came.
    """
    try:
        return session.request(method, url, allow_redirects=False, timeout=timeout, **options)
    except requests.RequestException as error:
        refused = isinstance(error, requests.ConnectionError) and "refused" in str(error)
        raise ApiUnreachable(url, refused=refused) from None


def problem_of(answer: requests.Response) -> ApiProblem:
    """Return the problem that an answer describes.

    A page of a proxy, of a storage or of another server at this address becomes ``not_our_api``.
    """
    sentence = f"{_origin(answer.url)} does not answer as our API."
    not_ours = {"code": NOT_OURS, "detail": sentence}
    return ApiProblem(answer.status_code, _json_object(answer) or not_ours)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _json_object(answer: requests.Response) -> Document | None:
    try:
        document = answer.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
