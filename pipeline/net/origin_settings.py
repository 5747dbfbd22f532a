"""Types of the settings that list origins."""

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from pipeline.net.origins import AllowedOrigin, WebOrigin, read_allowed_origin, read_origin


def _allowed(value: object) -> object:
    return read_allowed_origin(value) if isinstance(value, str) else value


def _own(value: object) -> object:
    return read_origin(value) if isinstance(value, str) else value


AllowedOrigins = Annotated[
    tuple[Annotated[AllowedOrigin, BeforeValidator(_allowed)], ...], NoDecode
]
"""Origins that need be neither public nor https; the port may be ``*``."""
OwnOrigins = Annotated[frozenset[Annotated[WebOrigin, BeforeValidator(_own)]], NoDecode]
"""Our own origins."""
