"""The routes of the provider accounts, for operators."""

from apiflask import APIBlueprint

from api.access.audit import audit_operator
from api.access.caller import Role, Scope, authorised, caller_session
from api.documents.account_schemas import (
    AccountOut,
    AccountsOut,
    AccountStateBody,
    AccountStateOut,
)
from api.wiring.services import services
from pipeline.operations.account_control import AUDITED_AS, set_account_state
from pipeline.operations.account_facts import read_accounts

blueprint = APIBlueprint("providers", __name__, tag="Operators", url_prefix="/api/providers")


@blueprint.get("")
@authorised(Role.OPERATOR, Role.READER, scope=Scope.OPERATOR_READ)
@blueprint.output(AccountsOut)
@blueprint.doc(responses={401: "", 403: ""}, security="bearer")
def accounts() -> AccountsOut:
    """List the provider accounts with their state, jobs, spend and estimated cost."""
    with caller_session() as session:
        found = read_accounts(session, services().account_terms)
    return AccountsOut(providers=[AccountOut(**each.document()) for each in found])


@blueprint.post("/<name>/state")
@authorised(Role.OPERATOR, scope=Scope.OPERATOR)
@blueprint.input(AccountStateBody)
@blueprint.output(AccountStateOut)
@blueprint.doc(responses={401: "", 403: "", 404: "", 422: ""}, security="bearer")
def set_state(name: str, json_data: AccountStateBody) -> AccountStateOut:
    """Set the state of an account. Repeating the request does no harm.

    Setting any state forgets the account's problem, its pause and its rejected successes.
    """
    with caller_session() as session:
        change = set_account_state(session, services().providers, name, json_data.state)
        audit_operator(
            session, AUDITED_AS[change.state], provider=change.account, was=change.was.value
        )
    return AccountStateOut(
        provider=change.account, state=change.state, was=change.was, made_due=change.made_due
    )
