"""The actions of an operator on one video; each calls the use case that the API's route calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from api.access.audit import audit_operator
from api.access.caller import caller
from api.wiring.services import services
from pipeline.domain.audit_types import AuditType
from pipeline.domain.errors import Conflict, NotFound
from pipeline.domain.states import LIVE, Status
from pipeline.lifecycle.owner_actions import (
    Changed,
    cancel_asset,
    delete_asset,
    reencode_asset,
    retry_asset,
)
from pipeline.operations import console_assets
from pipeline.process_settings import ApiSettings
from pipeline.records.models import Asset
from pipeline.runtime.database import session_of

Change = Callable[[Session, UUID, ApiSettings, str], Changed]


@dataclass(frozen=True)
class Action:
    """An action of the console.

    Attributes:
        label: The text of its button.
        consequence: The sentence that the operator reads before confirming.
        done: The sentence that the operator reads afterwards.
        allowed: The states that allow it.
        is_final: True if it cannot be undone.
    """

    label: str
    consequence: str
    done: str
    allowed: frozenset[Status]
    change: Change
    is_final: bool = False


ACTIONS: Mapping[str, Action] = {
    "retry": Action(
        "Retry",
        "It is queued again. Its retry budget starts over; its history stays.",
        "It is queued again.",
        frozenset({Status.FAILED}),
        lambda session, post_id, settings, actor: retry_asset(
            session, post_id, retry=settings.retry, owner_limits=settings.owner_limits, actor=actor
        ),
    ),
    "cancel": Action(
        "Cancel",
        "It fails as cancelled, and the job at the provider is released. Outputs that this encode "
        "has published are withdrawn; those of an earlier one stay. A retry starts it over.",
        "It was cancelled.",
        LIVE,
        lambda session, post_id, _settings, actor: cancel_asset(session, post_id, actor=actor),
    ),
    "reencode": Action(
        "Encode anew",
        "It is processed again, at the cost of processing. The published output plays until the "
        "new output replaces it.",
        "It is queued to be encoded anew.",
        frozenset({Status.COMPLETED}),
        lambda session, post_id, settings, actor: reencode_asset(
            session, post_id, retry=settings.retry, owner_limits=settings.owner_limits, actor=actor
        ),
    ),
    "delete": Action(
        "Delete",
        "Every address of the video stops at once, and its files are removed within seconds. A "
        "vendor that has it may take longer. The post is free again. This cannot be undone.",
        "It was deleted.",
        frozenset(Status),
        lambda session, post_id, _settings, actor: delete_asset(session, post_id, actor=actor),
        is_final=True,
    ),
}

DONE: Mapping[str, str] = {name: action.done for name, action in ACTIONS.items()}


def is_allowed(action: Action, asset: Asset) -> bool:
    """Return True if the state of the asset allows the action."""
    return asset.deleted_at is None and asset.status in action.allowed


def carry_out(name: str, asset_id: UUID) -> None:
    """Carry out an action, record it in the same transaction, and publish its wakes.

    Raises:
        NotFound: ``asset_not_found``.
        Conflict: ``asset_deleted``, or the use case's own.
    """
    here = services()
    with session_of(here.engines.operator) as session:
        asset = console_assets.asset(session, asset_id)
        if asset.deleted_at is not None:
            raise Conflict("asset_deleted", "This video is deleted.")
        changed = ACTIONS[name].change(session, asset.post_id, here.settings, caller().actor)
        if changed.asset.id != asset_id:
            # The post has got another video since, which the operator did not choose.
            raise NotFound("asset_not_found")
        audit_operator(session, AuditType(name), post_id=asset.post_id, asset_id=asset_id)
    here.publisher.publish(changed.wakes)
