"""Completion of the generated OpenAPI document: security, problems, headers and links.

Facts of a single operation stand at its view (``documents/described.py``).
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from apiflask import APIFlask

from api.access.caller import guarded_scope
from api.documents.described import IDEMPOTENCY_KEY, Described, facts_of
from api.documents.schemas import ProblemOut
from api.http.problems import MEDIA_TYPE
from pipeline.domain.scopes import Scope

SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A person's token. `sub` is the owner. The `role` `service_role` is an "
        "operator; `operator_read` is an operator who only reads. `post_id` lists the posts that "
        "the bearer may register videos for, if the installation requires it.",
    },
    "key": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "khv_",
        "description": "A server's key with the named scope. `operator` includes every scope, "
        "`operator:read` every reading scope.",
    },
    "ticket": {"type": "apiKey", "in": "header", "name": "X-Upload-Token"},
    "callback": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "Standard Webhooks, over id, timestamp and raw body.",
    },
}

OF_CALLERS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
"""Problems of every route with a known caller."""

LIMIT_HEADERS = {
    "RateLimit-Policy": "The limit with the fewest requests left: its quota, and its window in "
    'seconds, such as `"create";q=60;w=60`.',
    "RateLimit": "The state of that limit: the requests left, and the seconds until there is one "
    'more, such as `"create";r=59;t=30`.',
}
"""Headers of answers to limited requests (draft-ietf-httpapi-ratelimit-headers-11)."""

BODY_REFUSALS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
"""Problems of every route with a JSON body: not JSON, too large, another type, invalid."""

TOO_MANY = str(int(HTTPStatus.TOO_MANY_REQUESTS))

EVERYWHERE = (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
"""Problems of every route."""


def configure(app: APIFlask) -> None:
    """Describe the API, with every error as a problem document."""
    app.config.update(
        OPENAPI_VERSION="3.1.0",
        DESCRIPTION="Turns an uploaded video into something every browser can play.",
        SECURITY_SCHEMES=SECURITY,
        AUTO_404_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
        AUTO_OPERATION_ID=True,
        # Behind a proxy, the request's own host is not our public address.
        AUTO_SERVERS=False,
    )
    app.spec_processor(partial(_complete, app))


def _complete(app: APIFlask, generated: dict[str, Any] | str) -> dict[str, Any] | str:
    assert isinstance(generated, dict)  # it is text only if YAML is configured
    spec = _with_plain_names(generated)
    schemas = spec["components"]["schemas"]
    schemas.pop("HTTPError", None)
    problem = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    views = _views(app)
    ids = {view.endpoint: operation_id for operation_id, view in views.items()}
    for operations in spec["paths"].values():
        for method, operation in operations.items():
            view = views[operation["operationId"]]
            facts = facts_of(view.function)
            _complete_path(operation)
            _complete_security(
                operation, facts.scope or guarded_scope(view.function, method.upper())
            )
            _complete_answers(operation, facts, _links(facts, ids))
            _add_binary_body(operation, facts)
            _add_headers(operation, facts)
            _add_answer_headers(operation, facts)
    return spec


class _View(NamedTuple):
    endpoint: str
    function: Callable[..., Any]


def _views(app: APIFlask) -> Mapping[str, _View]:
    """Return the view of each operation, by APIFlask's operation id."""
    return {
        f"{method.lower()}_{rule.endpoint.replace('.', '_')}": _View(
            rule.endpoint, app.view_functions[rule.endpoint]
        )
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def _with_plain_names(generated: dict[str, Any]) -> dict[str, Any]:
    """Give a nested schema its plain name; APIFlask makes ``EventPage.Status`` of it."""
    text = re.sub(r'"#/components/schemas/\w+\.', '"#/components/schemas/', json.dumps(generated))
    spec: dict[str, Any] = json.loads(text)
    schemas = spec["components"].get("schemas", {})
    spec["components"]["schemas"] = {
        name.rpartition(".")[2]: schema for name, schema in schemas.items()
    }
    return spec


def _complete_path(operation: dict[str, Any]) -> None:
    """Declare that ids are UUIDs; APIFlask describes the converter as text."""
    for parameter in operation["parameters"]:
        if parameter["in"] == "path" and parameter["name"].endswith("_id"):
            parameter["schema"]["format"] = "uuid"


def _complete_security(operation: dict[str, Any], scope: Scope) -> None:
    """Accept a key wherever a token is accepted."""
    ways = operation.get("security", [])
    if not any("bearer" in way for way in ways):
        return
    ways.append({"key": [scope.value]})
    for status in OF_CALLERS:
        operation["responses"].setdefault(str(int(status)), {})


def _complete_answers(
    operation: dict[str, Any], facts: Described, links: Mapping[str, Any]
) -> None:
    answers = operation["responses"]
    if body := operation.get("requestBody"):
        body["required"] = True
    refusals = BODY_REFUSALS if "requestBody" in operation else ()
    if facts.once:
        refusals = (*refusals, HTTPStatus.BAD_REQUEST)  # an invalid Idempotency-Key
    for status in (*EVERYWHERE, *refusals):
        answers.setdefault(str(int(status)), {})
    body = {facts.media_type: {"schema": _body_of_success(answers)}}
    for code, described in answers.items():
        status = HTTPStatus(int(code))
        described["description"] = described.get("description") or status.phrase
        described.pop("content", None)
        if _is_success(code):
            if status is not HTTPStatus.NO_CONTENT:
                described["content"] = body
            described.update(links)
        elif status >= HTTPStatus.BAD_REQUEST:
            schema = {"$ref": "#/components/schemas/Problem"}
            described["content"] = {MEDIA_TYPE: {"schema": schema}}
    operation["responses"] = dict(sorted(answers.items()))


def _links(facts: Described, ids: Mapping[str, str]) -> dict[str, Any]:
    """Return the links of an operation; an endpoint that does not exist raises KeyError."""
    links = {
        ids[endpoint]: {"operationId": ids[endpoint], **arguments}
        for endpoint, arguments in facts.links.items()
    }
    return {"links": links} if links else {}


def _is_success(code: str) -> bool:
    return code.startswith("2")


def _body_of_success(answers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the declared schema; every success of an operation has the same."""
    declared = (
        content["schema"]
        for code, described in answers.items()
        if _is_success(code)
        for content in described.get("content", {}).values()
        if content.get("schema")
    )
    return next(declared, {})


def _add_binary_body(operation: dict[str, Any], facts: Described) -> None:
    if facts.takes_bytes:
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": content}


def _add_headers(operation: dict[str, Any], facts: Described) -> None:
    for header in (*((IDEMPOTENCY_KEY,) if facts.once else ()), *facts.headers):
        operation["parameters"].append(
            {
                "name": header.name,
                "in": "header",
                "description": header.meaning,
                "schema": {"type": "string", **header.schema},
            }
        )


def _add_answer_headers(operation: dict[str, Any], facts: Described) -> None:
    for code, described in operation["responses"].items():
        headers = _headers_of_answer(operation, code, once=facts.once)
        if headers:
            described["headers"] = {
                name: {"description": meaning, "schema": {"type": "string"}}
                for name, meaning in headers.items()
            }


def _headers_of_answer(operation: dict[str, Any], code: str, *, once: bool) -> dict[str, str]:
    headers: dict[str, str] = {}
    if once and _is_success(code):
        headers["Idempotency-Replayed"] = "`true` if the answer was given before."
    if code == TOO_MANY:
        headers |= LIMIT_HEADERS | {"Retry-After": "Seconds after which the request is served."}
    elif TOO_MANY in operation["responses"] and _is_success(code) and _is_for_callers(operation):
        headers |= LIMIT_HEADERS
    return headers


def _is_for_callers(operation: dict[str, Any]) -> bool:
    """Return True if every request counts; of callbacks, only rejected ones do."""
    return any("bearer" in way for way in operation.get("security", []))
