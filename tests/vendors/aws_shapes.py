"""Requests of AWS services, held against the models that botocore ships.

The models say more than botocore checks: values of enumerations, ranges and patterns too.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator


@cache
def service(name: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(name, "service-2"))


def faults(shape: Shape, document: Any) -> list[str]:
    """The violations of a shape by a document as it was sent."""
    report = ParamValidator().validate(_parameters(shape, document), shape)
    if report.has_errors():
        return [report.generate_report()]
    return [*_faults(shape, document, shape.name)]


def _faults(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        members = _members(shape)
        for name, inner in value.items():
            if name in members:
                yield from _faults(members[name][1], inner, f"{path}.{name}")
            else:
                yield f"{path}.{name} is unknown"
    elif isinstance(shape, ListShape):
        for at, inner in enumerate(value):
            yield from _faults(shape.member, inner, f"{path}[{at}]")
    elif isinstance(shape, MapShape):
        for name, inner in value.items():
            yield from _faults(shape.value, inner, f"{path}.{name}")
    else:
        yield from (f"{path} {fault}" for fault in _scalar_faults(shape, value))


def _scalar_faults(shape: Shape, value: Any) -> Iterator[str]:
    facts: Mapping[str, Any] = shape.metadata
    if isinstance(value, str):
        if facts.get("enum") and value not in facts["enum"]:
            yield f"is not one of {facts['enum']}: {value}"
        if "pattern" in facts and not re.search(facts["pattern"], value):
            yield f"does not match {facts['pattern']}: {value}"
        value = len(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and not facts.get("min", value) <= value <= facts.get("max", value):
        yield f"is out of {facts.get('min')}..{facts.get('max')}: {value}"


def _parameters(shape: Shape, value: Any) -> Any:
    """The arguments of botocore that would have been sent so."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        members = _members(shape)
        known = {name: inner for name, inner in value.items() if name in members}
        return {members[name][0]: _parameters(members[name][1], v) for name, v in known.items()}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_parameters(shape.member, inner) for inner in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {name: _parameters(shape.value, inner) for name, inner in value.items()}
    return value


def _members(shape: StructureShape) -> dict[str, tuple[str, Shape]]:
    return {
        member.serialization.get("name", name): (name, member)
        for name, member in shape.members.items()
    }
