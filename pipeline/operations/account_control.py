"""The state of a provider account as an operator sets it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from pipeline.domain.audit_types import AuditType
from pipeline.domain.errors import NotFound
from pipeline.domain.routing import AccountState
from pipeline.limits.account_holds import end_holds
from pipeline.records import account_states

AUDITED_AS: Mapping[AccountState, AuditType] = {
    AccountState.ENABLED: AuditType.PROVIDER_ENABLE,
    AccountState.DRAIN: AuditType.PROVIDER_DRAIN,
    AccountState.DISABLED: AuditType.PROVIDER_DISABLE,
}
"""The type of the audit event of each change."""


@dataclass(frozen=True)
class StateChange:
    """A change of an account's state.

    Attributes:
        made_due: Held assets that can go on now. The sweep finds them.
    """

    account: str
    was: AccountState
    state: AccountState
    made_due: int


def set_account_state(
    session: Session, configured: Collection[str], account: str, state: AccountState
) -> StateChange:
    """Set the state of an account, and make due the held assets that can go on.

    Setting the present state again forgets the account's problem, pause and rejected successes: an
    operator who has corrected it need not wait. Safe to run twice.

    Args:
        configured: Names of the accounts that the settings list.

    Raises:
        NotFound: ``unknown_provider``.
    """
    if account not in configured:
        raise NotFound("unknown_provider", f"There is no provider account {account!r}.")
    row = account_states.all_states(session).get(account)
    was = AccountState(row.state) if row else AccountState.ENABLED
    account_states.set_state(session, account, state)
    return StateChange(account, was, state, end_holds(session, account, state))
