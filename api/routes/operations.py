"""For whoever runs the system: is it up, is it ready, what are its figures, what does it offer."""

from functools import partial
from http import HTTPStatus
from typing import cast

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, jsonify, render_template
from prometheus_client import CONTENT_TYPE_LATEST

from api.documents.described import described
from api.http import security_headers
from api.monitoring.prometheus import Figures, exposition
from api.monitoring.readiness import Readiness, check, is_ready
from api.wiring.services import services

blueprint = APIBlueprint("operations", __name__, tag="Operations")

FIGURES = "khronika.figures"
READINESS = "khronika.readiness"
PAGE = "khronika.docs"
NONCE = "the-nonce-of-this-answer"


@blueprint.get("/healthz")
@blueprint.doc(responses={200: "The process answers"})
def healthz() -> Response:
    """Tell that this process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@blueprint.doc(responses={200: "Ready", 503: "Not ready"})
def readyz() -> Response:
    """Tell whether this process can do its work, part by part."""
    readiness = Readiness(partial(check, services()))
    checks = current_app.extensions.setdefault(READINESS, readiness).checks()
    ready = is_ready(checks)
    response = jsonify(status="ready" if ready else "not_ready", checks=dict(checks))
    response.status_code = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/metrics")
@described(media_type="text/plain")
@blueprint.doc(responses={200: "The figures, as text"})
def metrics() -> Response:
    """Read the figures, in Prometheus's text format."""
    figures: Figures = current_app.extensions[FIGURES]
    return Response(exposition(figures), content_type=CONTENT_TYPE_LATEST)


@blueprint.get("/docs")
@blueprint.doc(hide=True)
def docs() -> Response:
    """Show the API to a person; made from openapi.json, with nothing loaded from elsewhere."""
    app = cast("APIFlask", current_app)
    # Anybody may ask, and the document changes with the program only: it is written out once.
    if PAGE not in app.extensions:
        app.extensions[PAGE] = render_template("docs.html", spec=app.spec, nonce=NONCE)
    page = Response(app.extensions[PAGE].replace(NONCE, security_headers.nonce()))
    allowed = f"{security_headers.CLOSED}; style-src 'nonce-{security_headers.nonce()}'"
    page.headers["Content-Security-Policy"] = allowed
    return page
