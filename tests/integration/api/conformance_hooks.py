"""What a schema cannot say of a good request: addresses and types that this site takes.

Only requests that are meant to be right are helped; the wrong ones stay as wrong as they were made.
"""

from typing import Any

import schemathesis
from schemathesis import Case, GenerationMode, HookContext

GOOD: dict[str, dict[str, Any]] = {
    "post_assets_create": {"source_url": "https://videos.example/holiday.mp4"},
    "post_uploads_issue": {"mime_type": "video/mp4", "size_bytes": 1000},
}
CLIENTS_OWN = {"post_assets_create": ("mime_type", "size_bytes", "duration_sec")}


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    del context, kwargs
    operation_id = case.operation.definition.raw["operationId"]
    meant_well = case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE
    if not meant_well or not isinstance(case.body, dict):
        return
    for name, value in GOOD.get(operation_id, {}).items():
        if case.body.get(name) is not None:
            case.body[name] = value
    for name in CLIENTS_OWN.get(operation_id, ()):
        case.body.pop(name, None)
