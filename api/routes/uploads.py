"""Direct uploads: a ticket, the content, the checks."""

from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, request

from api.audit import audit_operator
from api.auth import Role, authorised, caller, caller_session, owner_named
from api.idempotency import idempotency_key, rendered
from api.limits import Policy, limited
from api.schemas import ReceivedOut, TicketOut, UploadBody, UploadOut
from api.services import services
from pipeline.database import user_session
from pipeline.media.source_info import SourceInfo
from pipeline.settings import Settings
from pipeline.usecases.idempotency import Answer, claim, keep
from pipeline.usecases.occupy import require_post
from pipeline.usecases.upload import (
    NewUpload,
    Ticket,
    complete_upload,
    issue_ticket,
    owner_of_ticket,
    receive_content,
    reissue_ticket,
)

blueprint = APIBlueprint("uploads", __name__, tag="Uploads", url_prefix="/api/uploads")

TICKET_HEADER = "X-Upload-Token"
CHUNK_BYTES = 256 * 1024
UNBOUNDED = 2**63
"""The ticket bounds the content; the limit for JSON bodies does not apply."""


@blueprint.post("")
@authorised(Role.OWNER, Role.OPERATOR)
@limited(Policy.UPLOADS)
@blueprint.input(UploadBody)
@blueprint.output(TicketOut, status_code=201)
@blueprint.doc(
    responses={401: "", 403: "", 404: "", 409: "", 413: "", 422: "", 429: ""}, security="bearer"
)
def issue(json_data: UploadBody) -> Response:
    """Ask for the right to send a file; an operator does it for an owner whom it names."""
    settings = services().settings
    owner_id = owner_named(json_data.owner_id)
    command = NewUpload(**json_data.model_dump() | {"owner_id": owner_id})
    key = idempotency_key("uploads", json_data.model_dump(mode="json"))
    with caller_session() as session:
        require_post(
            session,
            json_data.post_id,
            owner_id,
            settings=settings,
            claimed=caller().claimed_posts,
        )
        first = claim(session, key)
        if first is not None:
            ticket = reissue_ticket(session, UUID(first.body["upload_id"]), settings=settings)
        else:
            ticket = issue_ticket(session, command, settings=settings, now=datetime.now(UTC))
            # Not the whole answer: the ticket in it is an authority, and can be made again.
            keep(session, key, Answer(HTTPStatus.CREATED, {"upload_id": str(ticket.upload_id)}))
            audit_operator(session, "upload", post_id=json_data.post_id, upload_id=ticket.upload_id)
    document = _ticket_out(ticket, settings).model_dump(mode="json")
    return rendered(Answer(HTTPStatus.CREATED, document), replayed=first is not None)


def _ticket_out(ticket: Ticket, settings: Settings) -> TicketOut:
    return TicketOut(
        upload_id=ticket.upload_id,
        method="PUT",
        url=f"{settings.base_url}/api/uploads/{ticket.upload_id}/content",
        headers={TICKET_HEADER: ticket.token},
        expires_at=ticket.expires_at,
    )


@blueprint.put("/<uuid:upload_id>/content")
@blueprint.output(ReceivedOut)
@blueprint.doc(responses={404: "", 409: "", 413: ""}, security="ticket")
def content(upload_id: UUID) -> ReceivedOut:
    """Send the content of the file. The ticket's headers are the authority.

    May be repeated until the upload is completed; the last content counts.
    """
    here = services()
    token = request.headers.get(TICKET_HEADER, "")
    owner_id = owner_of_ticket(token, upload_id, settings=here.settings)
    request.max_content_length = UNBOUNDED
    received = receive_content(
        lambda: user_session(here.engines.api, owner_id),
        upload_id,
        _chunks(),
        storage=here.storage,
        now=datetime.now(UTC),
    )
    return ReceivedOut(upload_id=upload_id, received_bytes=received)


def _chunks() -> Iterator[bytes]:
    while chunk := request.stream.read(CHUNK_BYTES):
        yield chunk


@blueprint.post("/<uuid:upload_id>/complete")
@authorised(Role.OWNER, Role.OPERATOR)
@blueprint.output(UploadOut)
@blueprint.doc(responses={401: "", 403: "", 404: "", 409: "", 413: "", 422: ""}, security="bearer")
def complete(upload_id: UUID) -> UploadOut:
    """Have what arrived checked: its size, container, codecs and duration, by its content."""
    here = services()
    upload = complete_upload(
        caller_session,
        upload_id,
        storage=here.storage,
        tools=here.tools,
        limits=here.limits,
        now=datetime.now(UTC),
    )
    assert upload.source_info is not None
    assert upload.completed_at is not None
    info = SourceInfo.from_json(upload.source_info)
    return UploadOut(
        upload_id=upload.id,
        post_id=upload.post_id,
        size_bytes=info.size_bytes,
        duration_sec=info.duration_sec,
        width=info.width,
        height=info.height,
        video_codec=info.video_codec,
        audio_codec=info.audio_codec,
        completed_at=upload.completed_at,
    )
