"""What a schema cannot say of a good request: addresses, types, contents and signatures.

Only requests that are meant to be right are helped; the wrong ones stay as wrong as they were made.
"""

import itertools
import os
from pathlib import Path
from typing import Any

import requests
import schemathesis
from schemathesis import Case, GenerationMode, HookContext
from schemathesis.core.transport import Response

from tests.scripted_provider import callback

CALLER = "ana"
CLIP = Path(os.environ["KHRONIKA_CONFORMANCE_CLIP"]).read_bytes()
GOOD: dict[str, dict[str, Any]] = {
    "post_assets_create": {
        "source_url": "https://videos.example/holiday.mp4",
        "owner_id": CALLER,
    },
    "post_uploads_issue": {
        "filename": "holiday.mp4",
        "mime_type": "video/mp4",
        "size_bytes": len(CLIP),
        "owner_id": CALLER,
    },
    "post_parts_sign": {"numbers": [1]},
}
"""What makes a right request succeed, so that what it makes can be asked about next."""
LEFT_OUT = {"post_assets_create": ("upload_id", "mime_type", "size_bytes", "duration_sec")}
SENT = ("put_uploads_content", "put_parts_receive")
OF_PARTS = ("put_parts_receive", "post_parts_confirm")
SIGNED = ("post_callbacks_take_default", "post_callbacks_take_named")

PROBES = 3
"""Completions that are helped: each has the video looked into."""

_tickets: dict[str, str] = {}
_completed: list[dict[str, str]] = []
_probes = itertools.count()
_callbacks = itertools.count()


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    del context
    meant_well = case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE
    if not meant_well:
        return
    operation_id = case.operation.definition.raw["operationId"]
    if operation_id in OF_PARTS:
        case.path_parameters["number"] = 1  # the whole video is one
    if operation_id in SIGNED:
        kwargs["data"] = _sign(case)
    elif operation_id in SENT:
        _fill(case)
    elif operation_id == "post_uploads_complete":
        _send_first(case)
    elif isinstance(case.body, dict):
        _correct(operation_id, case.body)


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    del context
    match case.operation.definition.raw["operationId"], case.method, response.status_code:
        case "post_uploads_issue", "POST", 201:
            document = response.json()
            _tickets[document["upload_id"]] = document["headers"]["X-Upload-Token"]
        case "post_uploads_complete", "POST", 200:
            document = response.json()
            _completed.append({name: document[name] for name in ("post_id", "upload_id")})


def _sign(case: Case[Any]) -> bytes:
    """Every other one comes under an id that is known already."""
    number = next(_callbacks)
    job = {"id": "00000000-0000-4000-8000-000000000000", "status": "processing"}
    headers, body = callback(job, event_id=f"msg_{number if number % 2 else 0}")
    case.headers.update(headers)
    if "provider" in case.path_parameters:
        case.path_parameters["provider"] = "selfhosted"
    return body


def _fill(case: Case[Any]) -> None:
    case.body = CLIP
    for digest in ("Content-Digest", "Content-MD5"):
        case.headers.pop(digest, None)


def _send_first(case: Case[Any]) -> None:
    upload_id = str(case.path_parameters["upload_id"])
    ticket = _tickets.get(upload_id)
    if ticket is None or next(_probes) >= PROBES:
        return
    requests.put(
        f"{case.operation.base_url.rstrip('/')}/api/uploads/{upload_id}/content",
        headers={"X-Upload-Token": ticket},
        data=CLIP,
        timeout=60,
    )


def _correct(operation_id: str, body: dict[str, Any]) -> None:
    body.update(GOOD.get(operation_id, {}))
    for name in LEFT_OUT.get(operation_id, ()):
        body.pop(name, None)
    if operation_id == "post_assets_create" and _completed:
        # No link from there: with one, schemathesis would begin nowhere else, and get nowhere.
        body.pop("source_url")
        body.update(_completed.pop())
