from collections.abc import Callable
from typing import Any

import pytest
from apiflask import APIBlueprint, APIFlask

from api import openapi
from api.access.caller import Role, Scope, authorised
from api.documents.described import BY_POST, IF_NONE_MATCH, described

View = Callable[..., Any]


def document(name: str, decorate: Callable[[View], View], links: Any = None) -> dict[str, Any]:
    """The operation of one view called ``name``."""
    app = APIFlask("test")
    openapi.configure(app)
    blueprint = APIBlueprint("things", "test")

    def view() -> str:
        return ""

    view.__name__ = name
    documented = blueprint.doc(security="bearer")(described(links=links or {})(view))
    blueprint.get("/thing")(decorate(documented))
    app.register_blueprint(blueprint)
    with app.app_context():
        spec: Any = app.spec
    operation: dict[str, Any] = spec["paths"]["/thing"]["get"]
    return operation


@pytest.mark.parametrize("name", ["read", "renamed"])
def test_the_scope_of_the_guard_is_the_documented_one_under_any_name(name: str) -> None:
    operation = document(name, authorised(*Role, scope=Scope.PLAYBACK))

    assert operation["operationId"] == f"get_things_{name}"
    assert {"key": ["playback"]} in operation["security"]


def test_where_the_guard_names_no_scope_the_method_does() -> None:
    assert {"key": ["assets:read"]} in document("read", authorised(*Role))["security"]


@pytest.mark.parametrize("name", ["read", "renamed"])
def test_headers_stay_with_their_view_under_any_name(name: str) -> None:
    operation = document(name, described(headers=[IF_NONE_MATCH]))

    assert [header["name"] for header in operation["parameters"]] == ["If-None-Match"]


def test_a_link_to_a_view_that_does_not_exist_fails() -> None:
    with pytest.raises(KeyError, match=r"things\.gone"):
        document("read", authorised(*Role), links={"things.gone": BY_POST})
