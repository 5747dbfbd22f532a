"""What the generated OpenAPI document is told beyond the routes themselves."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from apiflask import APIFlask

from api.access.caller import scope_of
from api.documents.schemas import ProblemOut
from api.http.problems import MEDIA_TYPE
from pipeline.domain.scopes import Scope

SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A person's token. `sub` is the owner; `role` `service_role` an operator, "
        "`operator_read` one who only reads; `post_id` the posts that its bearer may register "
        "videos for, where the installation requires that.",
    },
    "key": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "khv_",
        "description": "A server's key, with the scope that is named. `operator` stands for every "
        "scope, `operator:read` for those that read.",
    },
    "ticket": {"type": "apiKey", "in": "header", "name": "X-Upload-Token"},
    "callback": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "Standard Webhooks, over id, timestamp and raw body.",
    },
}

SCOPES: Mapping[str, Scope] = {
    "get_lists_playback": Scope.PLAYBACK,
    "get_lists_many": Scope.OPERATOR_READ,
    "post_streams_issue": Scope.ASSETS_READ,
}
"""What a key must be for, where the method alone does not say it."""

OF_CALLERS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
"""Problems of whatever looks at who is calling."""

KEYED = (
    *("post_assets_create", "post_assets_retry", "post_uploads_issue", "post_changes_cancel"),
    *("post_changes_reencode", "delete_changes_delete"),
)
"""Operations that change something, each once for one key."""

DIGESTS = {
    "Content-Digest": "`sha-256` of the body (RFC 9530); what does not match is refused.",
    "Content-MD5": "MD5 of the body in base64 (RFC 1864); what does not match is refused.",
}

HEADERS: Mapping[str, Mapping[str, str]] = {
    **{
        operation: {
            "Idempotency-Key": "Gives a repeated request the first answer again, for a day."
        }
        for operation in KEYED
    },
    "get_assets_read": {"If-None-Match": "The ETag that the caller holds."},
    "get_lists_playback": {"If-None-Match": "The ETag that the caller holds."},
    "get_lists_many": {"If-None-Match": "The ETag that the caller holds."},
    "get_streams_stream": {"Last-Event-ID": "The last id that the caller was sent."},
    "put_uploads_content": DIGESTS,
    "put_parts_receive": DIGESTS,
    "get_media_read": {
        "Range": "One range of bytes.",
        "If-Range": "The ETag or date of the version that the range is of.",
        "If-None-Match": "The ETag that the caller holds.",
    },
}
"""Optional headers of requests, by operation."""

HEADER_SHAPES: Mapping[str, Mapping[str, Any]] = {
    "Idempotency-Key": {"minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    "Content-MD5": {"pattern": "^[A-Za-z0-9+/]{21}[AQgw]==$"},
}

STANDING = {
    "RateLimit-Policy": 'The limit that is used up first, as `"create";q=60;w=60`: its quota, and '
    "the seconds that is for.",
    "RateLimit": 'Where the caller stands with it, as `"create";r=59;t=30`: what remains, and the '
    "seconds until there is more.",
}
"""Headers of the answers to what is limited (draft-ietf-httpapi-ratelimit-headers-11)."""

NOT_JSON = {
    "get_operations_metrics": "text/plain",
    "get_media_read": "application/octet-stream",
    "get_streams_stream": "text/event-stream",
}
"""Operations that answer with something else."""

BINARY = frozenset({"put_uploads_content", "put_parts_receive"})
"""Operations that take bytes of any kind."""

BODY_REFUSALS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
"""Problems of whatever takes a JSON body: not JSON, too much of it, not said to be, wrong."""

OF_POST = ("get_assets_read", "get_assets_events", "get_lists_playback", "post_changes_cancel")
WITH_TICKET = (
    *("get_uploads_progress", "put_uploads_content", "post_parts_sign", "put_parts_receive"),
    *("post_parts_confirm", "delete_uploads_abandon"),
)
LINKS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "post_assets_create": {
        **{name: {"parameters": {"post_id": "$response.body#/post_id"}} for name in OF_POST},
        "delete_changes_delete": {"parameters": {"post_id": "$response.body#/post_id"}},
        "post_changes_reencode": {"parameters": {"post_id": "$response.body#/post_id"}},
        "post_assets_retry": {"requestBody": {"post_id": "$response.body#/post_id"}},
    },
    "post_uploads_issue": {
        "post_uploads_complete": {"parameters": {"upload_id": "$response.body#/upload_id"}},
        **{
            name: {
                "parameters": {
                    "upload_id": "$response.body#/upload_id",
                    "header.X-Upload-Token": "$response.body#/headers/X-Upload-Token",
                }
            }
            for name in WITH_TICKET
        },
    },
    "put_uploads_content": {
        "post_uploads_complete": {"parameters": {"upload_id": "$response.body#/upload_id"}},
    },
}
"""What can be asked next with what an operation answered, by operation and next operation."""

TOO_MANY = str(int(HTTPStatus.TOO_MANY_REQUESTS))

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
    )
    app.spec_processor(_complete)


def _complete(generated: dict[str, Any] | str) -> dict[str, Any] | str:
    assert isinstance(generated, dict)  # it is text only where YAML is configured
    spec = _with_plain_names(generated)
    schemas = spec["components"]["schemas"]
    schemas.pop("HTTPError", None)
    problem = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for operations in spec["paths"].values():
        for method, operation in operations.items():
            _complete_path(operation)
            _complete_security(method, operation)
            _complete_answers(operation)
            _add_binary_body(operation)
            _add_headers(operation)
            _add_answer_headers(operation)
    return spec


def _with_plain_names(generated: dict[str, Any]) -> dict[str, Any]:
    """Call a schema the same wherever it is nested: APIFlask makes ``EventPage.Status`` of it."""
    text = re.sub(r'"#/components/schemas/\w+\.', '"#/components/schemas/', json.dumps(generated))
    spec: dict[str, Any] = json.loads(text)
    schemas = spec["components"]["schemas"]
    spec["components"]["schemas"] = {
        name.rpartition(".")[2]: schema for name, schema in schemas.items()
    }
    return spec


def _complete_path(operation: dict[str, Any]) -> None:
    """Say that ids are UUIDs; APIFlask knows the converter as text."""
    for parameter in operation["parameters"]:
        if parameter["in"] == "path" and parameter["name"].endswith("_id"):
            parameter["schema"]["format"] = "uuid"


def _complete_security(method: str, operation: dict[str, Any]) -> None:
    """Whoever may come with a token may come with a key."""
    ways = operation.get("security", [])
    if not any("bearer" in way for way in ways):
        return
    scope = SCOPES.get(operation["operationId"], scope_of(method.upper()))
    ways.append({"key": [scope.value]})
    for status in OF_CALLERS:
        operation["responses"].setdefault(str(int(status)), {})


def _complete_answers(operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    if body := operation.get("requestBody"):
        body["required"] = True
    refusals = BODY_REFUSALS if "requestBody" in operation else ()
    if operation["operationId"] in KEYED:
        refusals = (*refusals, HTTPStatus.BAD_REQUEST)  # of a key that is none
    for status in (*EVERYWHERE, *refusals):
        answers.setdefault(str(int(status)), {})
    media_type = NOT_JSON.get(operation["operationId"], "application/json")
    body = {media_type: {"schema": _body_of_success(answers)}}
    for code, described in answers.items():
        status = HTTPStatus(int(code))
        described["description"] = described.get("description") or status.phrase
        described.pop("content", None)
        if _is_success(code):
            if status is not HTTPStatus.NO_CONTENT:
                described["content"] = body
            described.update(_links(operation["operationId"]))
        elif status >= HTTPStatus.BAD_REQUEST:
            schema = {"$ref": "#/components/schemas/Problem"}
            described["content"] = {MEDIA_TYPE: {"schema": schema}}
    operation["responses"] = dict(sorted(answers.items()))


def _links(operation_id: str) -> dict[str, Any]:
    links = {
        following: {"operationId": following, **arguments}
        for following, arguments in LINKS.get(operation_id, {}).items()
    }
    return {"links": links} if links else {}


def _is_success(code: str) -> bool:
    return code.startswith("2")


def _body_of_success(answers: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one schema that was declared; every success of an operation has the same."""
    declared = (
        content["schema"]
        for code, described in answers.items()
        if _is_success(code)
        for content in described.get("content", {}).values()
        if content.get("schema")
    )
    return next(declared, {})


def _add_binary_body(operation: dict[str, Any]) -> None:
    if operation["operationId"] in BINARY:
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": content}


def _add_headers(operation: dict[str, Any]) -> None:
    for name, meaning in HEADERS.get(operation["operationId"], {}).items():
        schema = {"type": "string", **HEADER_SHAPES.get(name, {})}
        parameter = {"name": name, "in": "header", "description": meaning, "schema": schema}
        operation["parameters"].append(parameter)


def _add_answer_headers(operation: dict[str, Any]) -> None:
    for code, described in operation["responses"].items():
        headers = _headers_of_answer(operation, code)
        if headers:
            described["headers"] = {
                name: {"description": meaning, "schema": {"type": "string"}}
                for name, meaning in headers.items()
            }


def _headers_of_answer(operation: dict[str, Any], code: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    if operation["operationId"] in KEYED and _is_success(code):
        headers["Idempotency-Replayed"] = "`true` where the answer was given before."
    if code == TOO_MANY:
        headers |= STANDING | {"Retry-After": "Seconds after which the request is served."}
    elif TOO_MANY in operation["responses"] and _is_success(code) and _is_for_callers(operation):
        headers |= STANDING
    return headers


def _is_for_callers(operation: dict[str, Any]) -> bool:
    """Whether every request counts. Of callbacks only those with a bad signature do."""
    return any("bearer" in way for way in operation.get("security", []))
