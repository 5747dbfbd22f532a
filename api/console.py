"""The operators' console: its parts, in the order in which their routes are tried."""

from api.routes import (
    ops,
    ops_assets,
    ops_audit,
    ops_bulk,
    ops_changes,
    ops_failed,
    ops_inbox,
    ops_sign_in,
)

BLUEPRINTS = (
    ops_sign_in.blueprint,
    ops.blueprint,
    ops_failed.blueprint,
    ops_bulk.blueprint,
    ops_assets.blueprint,
    ops_changes.blueprint,
    ops_inbox.blueprint,
    ops_audit.blueprint,
)
