"""HTTP transport of the adapters: bounded calls, and errors as the kinds of ``ProviderError``.

A call is made once: the pipeline repeats calls, never the transport. Connections are kept and used
again. A body is read to a bound, and no redirect is followed.
"""

import base64
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlencode

import requests
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from urllib3.exceptions import HTTPError

from pipeline.domain.errors import (
    AccountProblem,
    ProviderError,
    RefusedForNow,
    TerminalProviderError,
    TransientProviderError,
    UnknownOutcome,
)
from pipeline.net.fetch_errors import certificate_fault
from pipeline.net.responses import body_pieces
from pipeline.net.retry_after import retry_after_of
from pipeline.providers.vendor_clocks import note_date
from pipeline.runtime.strict_json import DocumentRefused, read_document

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Most bytes of an answer: a page of a hundred jobs has some hundred KiB."""
CONNECT_TIMEOUT_SEC = 5.0

BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
REFUSES_ACCOUNT = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN}
)
PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")

_QUERY = re.compile(r"(https?://[^\s?#\"'<>]+)[?#][^\s\"'<>]*")
MAX_MESSAGE_CHARS = 500


class VendorDocument(BaseModel):
    """The part of a vendor's document that an adapter reads; other members are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


Document = TypeVar("Document", bound=VendorDocument)


@dataclass(frozen=True)
class VendorError:
    """An error in the vendor's own words.

    Attributes:
        code: A code of ``pipeline.domain.failures``.
        retryable: True if the vendor says that the same call may succeed later.
    """

    message: str
    code: str = "provider_failed"
    retryable: bool = False


@dataclass(frozen=True)
class VendorAnswer:
    """An answer that was read to its end, within the bounds."""

    status: int
    headers: Mapping[str, str]  # names in any case
    body: bytes
    request_id: str | None
    retry_after_sec: float | None

    @property
    def ok(self) -> bool:
        """True for a status from 200 to 299."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def document(self) -> Any:
        """Return the body as JSON.

        Raises:
            TransientProviderError: The body is no JSON: the answer says nothing.
        """
        try:
            return read_document(self.body)
        except DocumentRefused as error:
            raise unreadable(self, str(error)) from error


class ProviderHttp:
    """The calls of one account. Threads may share it.

    Args:
        base_url: Address before every path, without a slash at its end.
        headers: Headers of every call, credentials included.
        timeout_sec: Longest wait for a piece of an answer, and longest time of its body.
        request_id_header: Header in which the vendor names its request.
        busy_header: Header in which the vendor says how long its limit lasts, on every answer.
            With a refusal it means a wait, as ``Retry-After`` does with any error.
        explain: Reads the vendor's words from an answer that is an error.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        timeout_sec: float,
        request_id_header: str = "X-Request-Id",
        busy_header: str | None = None,
        explain: Callable[[VendorAnswer], VendorError] | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        # Nothing bounds the size of a decompressed body.
        self._headers = {"Accept-Encoding": "identity", **headers}
        self._timeout = (min(CONNECT_TIMEOUT_SEC, timeout_sec), timeout_sec)
        self._request_id_header = request_id_header
        self._busy_header = busy_header
        self._explain = explain or _plainly
        # An HTTPAdapter and no Session, because a Session reads the whole body of a redirect.
        self._http = requests.adapters.HTTPAdapter(max_retries=0)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._http.close()

    def submit(self, method: str, path: str, *, json: Any = None) -> VendorAnswer:
        """Make a call that may make a job.

        Raises:
            ProviderError: of the kind that the answer calls for.
        """
        answer = self.send(method, path, json=json)
        if not answer.ok:
            raise self.refusal(answer)
        return answer

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        absent: Collection[int] = (HTTPStatus.NOT_FOUND,),
    ) -> VendorAnswer | None:
        """Make a call that may be repeated; None if what it is about does not exist.

        Args:
            absent: The statuses by which the vendor says so.

        Raises:
            ProviderError: The answer is no answer; never ``UnknownOutcome``.
        """
        try:
            answer = self.send(method, path, query=query, json=json)
        except UnknownOutcome as error:
            raise TransientProviderError(error.code, str(error)) from error
        if answer.status in absent:
            return None
        if not answer.ok:
            raise self.silence(answer)
        return answer

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> VendorAnswer:
        """Make a call and return its answer, whatever its status.

        Raises:
            TransientProviderError: The vendor was not reached.
            UnknownOutcome: The vendor was reached and gave no whole answer.
        """
        url = self._base_url + path + (f"?{urlencode(query)}" if query else "")
        try:
            request = requests.Request(method, url, headers=self._headers, json=json).prepare()
            with self._http.send(request, stream=True, timeout=self._timeout) as answer:
                return self._read(answer)
        except requests.ConnectTimeout as error:
            raise _unreached(error) from error
        except requests.ConnectionError as error:
            if _never_connected(error):
                raise _unreached(error) from error
            raise UnknownOutcome("provider_failed", "the connection broke") from error
        except (requests.RequestException, HTTPError) as error:
            raise UnknownOutcome("provider_failed", type(error).__name__) from error

    def refusal(self, answer: VendorAnswer) -> ProviderError:
        """Return the error of a call that may have made a job."""
        return refusal_of(answer, self._explain(answer))

    def silence(self, answer: VendorAnswer) -> ProviderError:
        """Return the error of a call that may be repeated."""
        return silence_of(answer, self._explain(answer))

    def _read(self, answer: requests.Response) -> VendorAnswer:
        note_date(answer.headers.get("Date"))
        body, deadline = bytearray(), time.monotonic() + self._timeout[1]
        for piece in body_pieces(answer):
            body += piece
            if len(body) > MAX_ANSWER_BYTES or time.monotonic() > deadline:
                raise UnknownOutcome("provider_failed", "the answer does not end")
        named = _REQUEST_ID.fullmatch(answer.headers.get(self._request_id_header, ""))
        return VendorAnswer(
            answer.status_code,
            answer.headers,
            bytes(body),
            request_id=named[0] if named else None,
            retry_after_sec=retry_after_of(self._wait_in(answer)),
        )

    def _wait_in(self, answer: requests.Response) -> str:
        standard = answer.headers.get("Retry-After", "")
        if standard or self._busy_header is None or answer.status_code not in BUSY:
            return standard
        return answer.headers.get(self._busy_header, "")


def refusal_of(answer: VendorAnswer, told: VendorError) -> ProviderError:
    """Return the error of a call that may have made a job, by its status and the vendor's words."""
    facts = _facts(answer)
    if answer.status in BUSY:
        return RefusedForNow(_busy_code(answer, told), told.message, **facts)
    if answer.status in REFUSES_ACCOUNT:
        return AccountProblem("provider_account", told.message, **facts)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnknownOutcome(told.code, told.message, **facts)
    if told.retryable or answer.status in PASSING or answer.status < HTTPStatus.BAD_REQUEST:
        # No vendor answers a submission with a redirect: another server stands at its address.
        return TransientProviderError(told.code, told.message, **facts)
    return TerminalProviderError("provider_refused", told.message, **facts)


def silence_of(answer: VendorAnswer, told: VendorError) -> ProviderError:
    """Return the error of a call that may be repeated, likewise."""
    facts = _facts(answer)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return RefusedForNow(_busy_code(answer, told), told.message, **facts)
    if answer.status in REFUSES_ACCOUNT:
        return AccountProblem("provider_account", told.message, **facts)
    return TransientProviderError("provider_failed", f"answered {answer.status}", **facts)


def basic_credentials(user: str, secret: SecretStr) -> Mapping[str, str]:
    """Return the header of HTTP Basic (RFC 7617)."""
    pair = f"{user}:{secret.get_secret_value()}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def unreadable(answer: VendorAnswer, reason: str) -> TransientProviderError:
    """Return the error of an answer that is not as its vendor documents it."""
    message = f"unreadable: {reason}"
    return TransientProviderError("provider_failed", message, request_id=answer.request_id)


def read_answer(answer: VendorAnswer, schema: type[Document]) -> Document:
    """Return an answer by the schema of its vendor's documentation.

    Raises:
        TransientProviderError: The answer does not follow it.
    """
    try:
        return schema.model_validate(answer.document())
    except ValidationError as error:
        raise unreadable(answer, _fault(error)) from error


def read_acceptance(answer: VendorAnswer, schema: type[Document]) -> Document:
    """Return the answer to a submission that the vendor has accepted.

    Raises:
        UnknownOutcome: The answer does not follow the vendor's documentation: there may be a job,
            and its id is not known.
    """
    try:
        return read_answer(answer, schema)
    except TransientProviderError as error:
        raise UnknownOutcome(error.code, str(error), request_id=error.request_id) from error


def vendor_words(*texts: str | None) -> str:
    """Return a vendor's words for the chronicle: short, and without the queries of addresses.

    Vendors quote the address of a source, whose query may hold the right to read it.
    """
    said = (_QUERY.sub(r"\1", text) for text in texts if text)
    return "; ".join(said)[:MAX_MESSAGE_CHARS]


def _fault(error: ValidationError) -> str:
    """Name the first member that is wrong, and nothing of its content."""
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'document'}: {first['type']}"[:200]


def _facts(answer: VendorAnswer) -> dict[str, Any]:
    return {"request_id": answer.request_id, "retry_after_sec": answer.retry_after_sec}


def _busy_code(answer: VendorAnswer, told: VendorError) -> str:
    """Return the vendor's reason. A 503 without one is what a proxy answers for a dead server."""
    is_limit = answer.status == HTTPStatus.TOO_MANY_REQUESTS
    return "provider_busy" if is_limit and told.code == "provider_failed" else told.code


def _plainly(answer: VendorAnswer) -> VendorError:
    return VendorError(f"answered {answer.status}")


def _never_connected(error: requests.ConnectionError) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if type(reason).__name__ in {"NewConnectionError", "NameResolutionError"}:
        return True
    return certificate_fault(error) is not None  # the request is sent after the handshake


def _unreached(error: Exception) -> TransientProviderError:
    # No byte left this machine, so there is no job.
    message = f"not reached: {type(error).__name__}"
    return TransientProviderError("provider_failed", message)
