"""The provider accounts: their facts, and the buttons that set their states."""

from collections.abc import Mapping

from flask import Response, abort, request

from api.access.audit import audit_operator
from api.ops.pages import console_blueprint, live_page, read_transaction, see_other
from api.wiring.services import services
from pipeline.domain.routing import AccountState
from pipeline.operations.account_control import AUDITED_AS, set_account_state
from pipeline.operations.account_facts import AccountFacts, read_accounts
from pipeline.runtime.database import session_of

blueprint = console_blueprint("ops_accounts", __name__)

BUTTONS: Mapping[AccountState, str] = {
    AccountState.ENABLED: "Enable",
    AccountState.DRAIN: "Drain",
    AccountState.DISABLED: "Disable",
}
"""The labels of the buttons."""

DONE: Mapping[str, str] = {
    AccountState.ENABLED.value: "It is enabled. Videos that waited for an account go on.",
    AccountState.DRAIN.value: "It gets no new jobs; those that it has go on.",
    AccountState.DISABLED.value: "It gets no new jobs, and is not called about those that it has.",
}


@blueprint.get("/accounts")
def show_accounts() -> Response:
    """Show every configured account."""
    here = services()
    with read_transaction() as session:
        found = read_accounts(session, here.account_terms)
    changed, became = request.args.get("changed", ""), request.args.get("state", "")
    return live_page(
        "accounts.html",
        accounts=found,
        buttons={each.name: _buttons(each) for each in found},
        changed=changed if changed in here.providers else None,
        done=DONE.get(became),
    )


@blueprint.post("/accounts/<name>/<state>")
def set_state(name: str, state: str) -> Response:
    """Set the state of an account, and record it in the same transaction."""
    if state not in set(AccountState):
        abort(404)
    wanted = AccountState(state)
    here = services()
    with session_of(here.engines.operator) as session:
        change = set_account_state(session, here.providers, name, wanted)
        audit_operator(session, AUDITED_AS[wanted], provider=name, was=change.was.value)
    return see_other(f"/ops/accounts?changed={name}&state={wanted.value}")


def _buttons(account: AccountFacts) -> dict[str, str]:
    """Return the states to offer, with the labels of their buttons."""
    offered = {state.value: label for state, label in BUTTONS.items() if state != account.state}
    if account.state is AccountState.ENABLED and account.is_in_trouble:
        offered = {AccountState.ENABLED.value: "Try again", **offered}
    return offered
