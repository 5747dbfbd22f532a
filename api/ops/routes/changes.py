"""Changing one video: a page that says what will happen, and the change itself."""

from uuid import UUID

from flask import Response, abort

from api.ops.actions import ACTIONS, Action, act, is_allowed
from api.ops.pages import console_blueprint, page, reading, see_other
from pipeline.operations import console_assets

blueprint = console_blueprint("ops_changes", __name__)


@blueprint.get("/assets/<uuid:asset_id>/<name>")
def confirm(asset_id: UUID, name: str) -> Response:
    """Say what would happen, and ask."""
    action = _action(name)
    with reading() as session:
        asset = console_assets.asset(session, asset_id)
    return page(
        "confirm.html", asset=asset, name=name, action=action, allowed=is_allowed(action, asset)
    )


@blueprint.post("/assets/<uuid:asset_id>/<name>")
def change(asset_id: UUID, name: str) -> Response:
    """Do it."""
    _action(name)
    act(name, asset_id)
    return see_other(f"/ops/assets/{asset_id}?done={name}")


def _action(name: str) -> Action:
    if name not in ACTIONS:
        abort(404)
    return ACTIONS[name]
