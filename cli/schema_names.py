"""Names of the two schemas, apart from their histories, which take long to import."""

from enum import StrEnum


class SchemaName(StrEnum):
    """A part of the product with a schema of its own."""

    PIPELINE = "pipeline"
    TRANSCODER = "transcoder"
