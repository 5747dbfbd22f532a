"""The routes of providers' callbacks: verify, store, and only then acknowledge."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus

import structlog
from apiflask import APIBlueprint
from flask import g, request
from prometheus_client import Counter

from api.access.request_limits import Policy, limited_by_address
from api.documents.schemas import CallbackOut
from api.http.client_address import client_address
from api.http.problems import RETRY_AFTER_SEC, Problem
from api.wiring.services import services
from pipeline.domain.errors import NotFound, SignatureInvalid
from pipeline.domain.values import CallbackEnvelope
from pipeline.lifecycle.receive_callback import Received, receive_callback, record_rejection
from pipeline.net.fetch import FetchRefused
from pipeline.net.signatures import Rejection
from pipeline.providers.active_secrets import SecretsUnreadable
from pipeline.providers.base import Provider
from pipeline.runtime.database import session_of

blueprint = APIBlueprint("callbacks", __name__, tag="Callbacks", url_prefix="/api/video-assets")

log = structlog.get_logger()

ANSWERS = {
    "stored": ("stored", HTTPStatus.ACCEPTED),
    "duplicate": ("duplicate", HTTPStatus.OK),
    "conflict": ("callback_conflict", HTTPStatus.OK),
    "dead": ("dead", HTTPStatus.ACCEPTED),
}
"""Result and status of a callback. A conflict is 200, because sending it again would not help."""

REPEATS = frozenset({"duplicate", "conflict"})
"""Results of callbacks that leave no row. The database counts the others."""

REPEATED = Counter(
    "khronika_callbacks_repeated",
    "Verified callbacks of an event that is stored: duplicate, or conflict of another body.",
    ["provider", "result"],
)


@blueprint.post("/webhook", strict_slashes=False)
@blueprint.output(CallbackOut, status_code=202)
@blueprint.doc(
    responses={200: "Received before", 401: "", 413: "", 429: "", 503: ""}, security="callback"
)
def take_default() -> tuple[CallbackOut, int]:
    """Receive a callback of the default provider."""
    return take(services().settings.accounts.default)


@blueprint.post("/webhook/<provider>", strict_slashes=False)
@blueprint.output(CallbackOut, status_code=202)
@blueprint.doc(
    responses={200: "Received before", 401: "", 404: "", 413: "", 429: "", 503: ""},
    security="callback",
)
def take_named(provider: str) -> tuple[CallbackOut, int]:
    """Receive a signed callback. It is stored with its raw bytes before it is answered."""
    return take(provider)


def take(name: str) -> tuple[CallbackOut, int]:
    """Store a callback for the account ``name``."""
    here = services()
    provider = here.providers.get(name)
    if provider is None:
        raise NotFound("unknown_provider", "There is no provider of this name.")
    request.max_content_length = here.settings.callbacks.max_bytes
    received = _receive(provider, _envelope())
    if received.kind in REPEATS:
        REPEATED.labels(name, received.kind).inc()
    here.publisher.publish([received.wake] if received.wake else [])
    result, status = ANSWERS[received.kind]
    return CallbackOut.model_validate({"result": result}), status


def _envelope() -> CallbackEnvelope:
    return CallbackEnvelope(
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.get_data(cache=False),
        query=request.query_string.decode("latin-1"),
    )


def _receive(provider: Provider, envelope: CallbackEnvelope) -> Received:
    engine = services().engines.api
    try:
        envelope = _with_documents(provider, envelope)
        with session_of(engine) as session:
            return receive_callback(
                session,
                provider,
                secrets=_secrets(provider.name),
                envelope=envelope,
                source=client_address(),
                request_id=g.request_id,
                now=datetime.now(UTC),
            )
    except SignatureInvalid as error:
        services().alarm.record(provider.name, _reason(error))
        _record_rejection(provider, error)
        raise


def _with_documents(provider: Provider, envelope: CallbackEnvelope) -> CallbackEnvelope:
    """Fetch the documents of a verification, before any transaction is open.

    A passing failure is 503, because SNS sends a callback again after a 5xx and not after a 4xx.
    """
    try:
        return services().documents.add_to(envelope, provider)
    except FetchRefused as error:
        if not error.transient:
            raise SignatureInvalid(
                "signature_invalid", reason=Rejection.DOCUMENTS_UNAVAILABLE
            ) from error
        log.warning("callback_documents_unavailable", provider=provider.name, detail=error.detail)
        raise _unavailable(
            "The certificate of this callback cannot be read; nothing was stored. Try again later."
        ) from None


def _unavailable(detail: str) -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "callbacks_unavailable",
        detail,
        headers={"Retry-After": str(RETRY_AFTER_SEC)},
    )


def _secrets(name: str) -> Sequence[str]:
    try:
        return services().secrets.active(name)
    except SecretsUnreadable as error:
        # The message names the variable to set; a traceback would add nothing.
        log.error("secrets_unreadable", provider=name, detail=str(error))  # noqa: TRY400
        raise _unavailable(
            "The callback secrets cannot be read; nothing was stored. Try again later."
        ) from None


def _reason(error: SignatureInvalid) -> str:
    return str(error.extra.get("reason", error.code))


# Only rejected callbacks count, after their verification: a flood from the provider's own address,
# or through its proxy, must not keep a valid callback out.
@limited_by_address(Policy.BAD_SIGNATURES)
def _record_rejection(provider: Provider, error: SignatureInvalid) -> None:
    with session_of(services().engines.api) as session:
        record_rejection(
            session,
            reason=_reason(error),
            provider=provider.name,
            source=client_address(),
            request_id=g.request_id,
        )
