"""What the generated OpenAPI document is told beyond the routes themselves."""

from http import HTTPStatus
from typing import Any

from apiflask import APIFlask

from api.problems import MEDIA_TYPE
from api.schemas import ProblemOut

SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "`sub` is the owner; `role` `service_role` an operator, `operator_read` "
        "one who only reads.",
    },
    "ticket": {"type": "apiKey", "in": "header", "name": "X-Upload-Token"},
    "callback": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "Standard Webhooks, over id, timestamp and raw body.",
    },
}

EVERYWHERE = (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
"""Problems any route may answer with."""


def configure(app: APIFlask) -> None:
    """Describe the API as a whole, and every error as a problem document."""
    app.config.update(
        OPENAPI_VERSION="3.1.0",
        DESCRIPTION="Turns an uploaded video into something every browser can play.",
        SECURITY_SCHEMES=SECURITY,
        AUTO_404_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
        AUTO_OPERATION_ID=True,
        # Behind a proxy the request's own host is not where callers reach us.
        AUTO_SERVERS=False,
        SPEC_PROCESSOR_PASS_OBJECT=False,
    )
    app.spec_processor(_complete)


def _complete(spec: dict[str, Any] | str) -> dict[str, Any] | str:
    assert isinstance(spec, dict)  # it is text only where YAML is configured
    schemas = spec.setdefault("components", {}).setdefault("schemas", {})
    schemas.pop("HTTPError", None)
    problem = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for operations in spec["paths"].values():
        for operation in operations.values():
            _complete_operation(operation)
    return spec


def _complete_operation(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    for status in EVERYWHERE:
        responses.setdefault(str(int(status)), {})
    for code, response in responses.items():
        response["description"] = response.get("description") or HTTPStatus(int(code)).phrase
        if int(code) >= HTTPStatus.BAD_REQUEST:
            schema = {"$ref": "#/components/schemas/Problem"}
            response["content"] = {MEDIA_TYPE: {"schema": schema}}
    operation["responses"] = dict(sorted(responses.items()))
