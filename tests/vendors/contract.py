"""Published contracts of vendors, in OpenAPI, which the fakes hold our requests against."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

from flask import request
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

SPECS = Path(__file__).parent / "specs"
_HOST = "http://vendor.test"


@dataclass(frozen=True)
class _Arrived:
    """The current request of Flask as openapi-core reads it."""

    host_url: str
    path: str
    method: str
    parameters: RequestParameters
    content_type: str
    body: bytes = field(repr=False)

    @classmethod
    def now(cls) -> Self:
        parameters = RequestParameters(
            query=ImmutableMultiDict(request.args), header=Headers(list(request.headers.items()))
        )
        return cls(
            _HOST,
            request.path,
            request.method.lower(),
            parameters,
            request.mimetype,
            request.get_data(),
        )


@cache
def contract(name: str) -> OpenAPI:
    """The contract in ``specs/NAME.json``, whatever the address it is served at."""
    return OpenAPI.from_dict(
        {**specification(name), "servers": [{"url": _HOST}]},
        config=Config(spec_validator_cls=None),
    )


@cache
def specification(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((SPECS / f"{name}.json").read_text())
    return document


def violation(name: str) -> str | None:
    """The way in which the current request violates a contract; None if it follows it."""
    try:
        contract(name).validate_request(_Arrived.now())  # type: ignore[arg-type]  # by its protocol
    except OpenAPIError as error:
        return f"{error}: {error.__cause__}"
    return None
