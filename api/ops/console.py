"""The operators' console: its blueprints, in the order in which their routes are tried."""

from api.ops.routes import accounts, assets, audit, bulk, changes, failed, inbox, overview, sign_in

BLUEPRINTS = (
    sign_in.blueprint,
    overview.blueprint,
    failed.blueprint,
    bulk.blueprint,
    assets.blueprint,
    changes.blueprint,
    inbox.blueprint,
    accounts.blueprint,
    audit.blueprint,
)
