"""Published outputs: the one mapping between the outputs of a job and the columns of our rows."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from pipeline.domain.output_warnings import warning_rows
from pipeline.domain.values import PUBLISHED_FIELDS, Caption, Outputs
from pipeline.records.models import Asset, Output


def published_columns(output_id: UUID, outputs: Outputs | Output) -> dict[str, Any]:
    """Return the columns of an asset that names these outputs as its published ones.

    Args:
        output_id: The row of ``video_outputs``.
        outputs: A provider's report, or an earlier row.
    """
    copies = {name: getattr(outputs, name) for name in PUBLISHED_FIELDS}
    warnings = outputs.warnings if isinstance(outputs, Output) else warning_rows(outputs.warnings)
    return {"published_output_id": output_id, **copies, "warnings": warnings}


def with_source_facts(outputs: Outputs, asset: Asset) -> Outputs:
    """Return the outputs with the source's duration and size where the provider gave none.

    The thumbnail is the poster if there is no smaller picture.
    """
    return replace(
        outputs,
        duration_sec=outputs.duration_sec or asset.duration_sec,
        width=outputs.width or asset.width,
        height=outputs.height or asset.height,
        thumbnail_url=outputs.thumbnail_url or outputs.poster_url,
    )


def output_columns(outputs: Outputs, captions: Sequence[Caption] = ()) -> dict[str, Any]:
    """Return the columns of a row of ``video_outputs`` for these outputs.

    Args:
        captions: Those that the gate found in the manifest.
    """
    return {
        **{name: getattr(outputs, name) for name in PUBLISHED_FIELDS},
        "renditions": [dict(rendition) for rendition in outputs.renditions],
        "captions": [asdict(caption) for caption in captions],
        "warnings": warning_rows(outputs.warnings),
        "size_bytes": outputs.size_bytes,
    }
