"""Calls of boto3, with errors as the kinds of ``ProviderError``.

A call is made once: the pipeline repeats calls, never the transport.
"""

from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from pipeline.domain.errors import (
    AccountProblem,
    TerminalProviderError,
    TransientProviderError,
    UnknownOutcome,
)
from pipeline.net.retry_after import retry_after_of
from pipeline.providers.transport import (
    CONNECT_TIMEOUT_SEC,
    VendorAnswer,
    VendorError,
    refusal_of,
    silence_of,
    vendor_words,
)
from pipeline.providers.vendor_clocks import note_date

UNSENT = (EndpointConnectionError, ConnectTimeoutError)
UNSIGNED = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
UNREADABLE = (ResponseParserError, AttributeError, KeyError, RecursionError, TypeError, ValueError)
"""Errors of botocore's parser when the body of an answer is no document of the service's."""
THROTTLES = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling"})


def once(timeout_sec: float) -> Config:
    """Return the configuration of a client that makes every call once."""
    return Config(
        retries={"total_max_attempts": 1},
        connect_timeout=min(CONNECT_TIMEOUT_SEC, timeout_sec),
        read_timeout=timeout_sec,
    )


def submit_once(call: Callable[..., Any], **arguments: Any) -> Mapping[str, Any]:
    """Make a call that may make a job.

    Raises:
        ProviderError: Of the kind that the answer calls for. A conflict is an unknown outcome: the
            token of the call has made a job before.
    """
    try:
        return _called(call, arguments)
    except ClientError as error:
        answer, told = _answer_of(error), _told(error)
        if answer.status == HTTPStatus.CONFLICT:
            raise UnknownOutcome("provider_failed", told.message) from error
        raise refusal_of(answer, told) from error


def ask_once(
    call: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    absent: Collection[int] = (HTTPStatus.NOT_FOUND,),
) -> Mapping[str, Any] | None:
    """Make a call that may be repeated; None if what it is about does not exist.

    Raises:
        ProviderError: The answer is no answer; never ``UnknownOutcome``.
    """
    try:
        return _called(call, arguments)
    except ClientError as error:
        answer = _answer_of(error)
        if answer.status in absent:
            return None
        raise silence_of(answer, _told(error)) from error
    except UnknownOutcome as error:
        raise TransientProviderError(error.code, str(error)) from error


def request_id_of(answer: Mapping[str, Any]) -> str | None:
    """Return the service's id of the request."""
    request_id: str | None = answer.get("ResponseMetadata", {}).get("RequestId")
    return request_id


def _called(call: Callable[..., Any], arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make a call.

    Raises:
        ClientError: The service refused it.
        ProviderError: The service did not answer.
    """
    try:
        answer: Mapping[str, Any] = call(**arguments)
    except UNSIGNED as error:
        raise AccountProblem("provider_account", "there are no AWS credentials") from error
    except UNSENT as error:
        message = f"not reached: {type(error).__name__}"
        raise TransientProviderError("provider_failed", message) from error
    except ParamValidationError as error:
        raise TerminalProviderError("provider_refused", "not a request of the API") from error
    except (BotoCoreError, *UNREADABLE) as error:
        raise UnknownOutcome("provider_failed", type(error).__name__) from error
    note_date(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date"))
    return answer


def _answer_of(error: ClientError) -> VendorAnswer:
    facts: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    headers = facts.get("HTTPHeaders", {})
    note_date(headers.get("date"))
    throttled = error.response.get("Error", {}).get("Code") in THROTTLES
    return VendorAnswer(
        HTTPStatus.TOO_MANY_REQUESTS if throttled else facts.get("HTTPStatusCode", 500),
        headers,
        b"",
        request_id=facts.get("RequestId"),
        retry_after_sec=retry_after_of(headers.get("retry-after", "")),
    )


def _told(error: ClientError) -> VendorError:
    told = error.response.get("Error", {})
    return VendorError(vendor_words(told.get("Code"), told.get("Message")))
