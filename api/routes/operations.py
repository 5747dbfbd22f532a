"""The operators' addresses: liveness, readiness, metrics and the documentation of the API."""

import hmac
from functools import partial
from http import HTTPStatus
from typing import cast

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, jsonify, render_template, request
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import SecretStr

from api.documents.described import described
from api.http import security_headers
from api.http.problems import Problem
from api.monitoring.prometheus import PipelineMetrics, exposition
from api.monitoring.readiness import Readiness, check, is_ready
from api.wiring.services import services

blueprint = APIBlueprint("operations", __name__, tag="Operations")

METRICS = "khronika.metrics"
READINESS = "khronika.readiness"
PAGE = "khronika.docs"
NONCE = "the-nonce-of-this-answer"


@blueprint.get("/healthz")
@blueprint.doc(responses={200: "The process answers"})
def healthz() -> Response:
    """Confirm that this process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@blueprint.doc(responses={200: "Ready", 503: "Not ready"})
def readyz() -> Response:
    """Return the readiness of this process, part by part."""
    readiness = Readiness(partial(check, services()))
    checks = current_app.extensions.setdefault(READINESS, readiness).checks()
    ready = is_ready(checks)
    response = jsonify(status="ready" if ready else "not_ready", checks=dict(checks))
    response.status_code = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/metrics")
@described(media_type="text/plain")
@blueprint.doc(responses={200: "The metrics, as text", 401: "The token of the metrics is missing"})
def metrics() -> Response:
    """Return the metrics, in Prometheus's text format."""
    _require_token(services().settings.metrics.metrics_token)
    collector: PipelineMetrics = current_app.extensions[METRICS]
    return Response(exposition(collector), content_type=CONTENT_TYPE_LATEST)


def _require_token(token: SecretStr | None) -> None:
    """Refuse a scrape without the configured token, in a time independent of the wrong token."""
    if token is None:
        return
    given = request.headers.get("Authorization", "").encode("utf-8", "replace")
    if not hmac.compare_digest(given, f"Bearer {token.get_secret_value()}".encode()):
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "metrics_token_required",
            "The bearer token of the metrics is missing or wrong.",
            headers={"WWW-Authenticate": "Bearer"},
        )


@blueprint.get("/docs")
@blueprint.doc(hide=True)
def docs() -> Response:
    """Show the API to a person; rendered from openapi.json, without content from elsewhere."""
    app = cast("APIFlask", current_app)
    # Rendered once: any caller may request it, and it changes with the program only.
    if PAGE not in app.extensions:
        app.extensions[PAGE] = render_template("docs.html", spec=app.spec, nonce=NONCE)
    page = Response(app.extensions[PAGE].replace(NONCE, security_headers.nonce()))
    allowed = f"{security_headers.CLOSED}; style-src 'nonce-{security_headers.nonce()}'"
    page.headers["Content-Security-Policy"] = allowed
    return page
