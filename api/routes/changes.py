"""The routes that change a video: cancel, re-encode, delete."""

from uuid import UUID

from apiflask import APIBlueprint
from flask import Response

from api.access.caller import Role, authorised
from api.access.idempotency import change_once
from api.access.request_limits import Policy, limited
from api.documents.described import described
from api.documents.schemas import AssetOut
from api.wiring.services import services
from pipeline.domain.audit_types import AuditType
from pipeline.lifecycle.owner_actions import cancel_asset, delete_asset, reencode_asset

blueprint = APIBlueprint("changes", __name__, tag="Changes", url_prefix="/api/video-assets")

ANSWERS = {401: "", 403: "", 404: "", 409: "", 422: ""}


@blueprint.post("/<uuid:post_id>/cancel")
@authorised(Role.OWNER, Role.OPERATOR)
@described(once=True)
@blueprint.output(AssetOut, status_code=202)
@blueprint.doc(responses=ANSWERS, security="bearer")
def cancel(post_id: UUID) -> Response:
    """Cancel a video in progress: it fails as `cancelled`, and only a retry can continue it."""
    return change_once(AuditType.CANCEL, post_id, cancel_asset)


@blueprint.post("/<uuid:post_id>/reencode")
@authorised(Role.OWNER, Role.OPERATOR)
@limited(Policy.RETRY)
@described(once=True)
@blueprint.output(AssetOut, status_code=202)
@blueprint.doc(
    responses=ANSWERS | {429: "Too many requests, or too many of the owner's videos in flight"},
    security="bearer",
)
def reencode(post_id: UUID) -> Response:
    """Encode a completed video again. The published output plays until it is replaced."""
    settings = services().settings
    return change_once(
        AuditType.REENCODE,
        post_id,
        lambda session, post, *, actor: reencode_asset(
            session, post, retry=settings.retry, owner_limits=settings.owner_limits, actor=actor
        ),
    )


@blueprint.delete("/<uuid:post_id>")
@authorised(Role.OWNER, Role.OPERATOR)
@described(once=True)
@blueprint.output(AssetOut, status_code=202)
@blueprint.doc(responses=ANSWERS, security="bearer")
def delete(post_id: UUID) -> Response:
    """Delete the video of a post, in any state: 404 from then on, and the post is free.

    Every address of its media is 404 too, at once. A worker removes the files and purges the CDN.
    """
    return change_once(AuditType.DELETE, post_id, delete_asset)
