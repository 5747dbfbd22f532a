"""The pages that change one video: a confirmation, and the change itself."""

from uuid import UUID

from flask import Response, abort

from api.ops.actions import ACTIONS, Action, carry_out, is_allowed
from api.ops.pages import console_blueprint, page, read_transaction, see_other
from pipeline.operations import console_assets

blueprint = console_blueprint("ops_changes", __name__)


@blueprint.get("/assets/<uuid:asset_id>/<name>")
def confirm(asset_id: UUID, name: str) -> Response:
    """Show the consequence of an action, and ask for confirmation."""
    action = _action(name)
    with read_transaction() as session:
        asset = console_assets.asset(session, asset_id)
    return page(
        "confirm.html", asset=asset, name=name, action=action, allowed=is_allowed(action, asset)
    )


@blueprint.post("/assets/<uuid:asset_id>/<name>")
def change(asset_id: UUID, name: str) -> Response:
    """Carry out an action."""
    _action(name)
    carry_out(name, asset_id)
    return see_other(f"/ops/assets/{asset_id}?done={name}")


def _action(name: str) -> Action:
    if name not in ACTIONS:
        abort(404)
    return ACTIONS[name]
