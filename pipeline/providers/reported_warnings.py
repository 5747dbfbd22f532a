"""Warnings in a provider's document: a list of objects with ``code`` and ``message``."""

from typing import Annotated

from pydantic import AfterValidator, Field

from pipeline.domain.output_warnings import MAX_WARNINGS, OutputWarning, reported_warning
from pipeline.providers.transport import VendorDocument


class _Reported(VendorDocument):
    code: str = Field(max_length=64)
    message: str = Field("", max_length=1000)


def _in_our_words(reported: list[_Reported]) -> list[OutputWarning]:
    return [reported_warning(each.code, each.message) for each in reported]


Warnings = Annotated[list[_Reported], Field(max_length=MAX_WARNINGS), AfterValidator(_in_our_words)]
"""The warnings, whose values are ``OutputWarning`` once they are read."""
