"""What a schema cannot say of a good request: addresses and types that this site takes.

Only requests that are meant to be right are helped; the wrong ones stay as wrong as they were made.
"""

from typing import Any

import schemathesis
from schemathesis import Case, GenerationMode, HookContext

CALLER = "ana"
GOOD: dict[str, dict[str, Any]] = {
    "post_assets_create": {
        "source_url": "https://videos.example/holiday.mp4",
        "owner_id": CALLER,
    },
    "post_uploads_issue": {"mime_type": "video/mp4", "size_bytes": 1000, "owner_id": CALLER},
}
"""What makes a right request succeed, so that what it makes can be asked about next."""
LEFT_OUT = {"post_assets_create": ("upload_id", "mime_type", "size_bytes", "duration_sec")}


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    del context, kwargs
    operation_id = case.operation.definition.raw["operationId"]
    meant_well = case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE
    if not meant_well or not isinstance(case.body, dict):
        return
    case.body.update(GOOD.get(operation_id, {}))
    for name in LEFT_OUT.get(operation_id, ()):
        case.body.pop(name, None)
