"""The routes of direct uploads: a ticket, the content, the checks."""

from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response
from sqlalchemy.orm import Session

from api.access.audit import audit_operator
from api.access.caller import Role, authorised, caller, caller_session, owner_of_request
from api.access.idempotency import idempotency_key, respond
from api.access.request_limits import Policy, limited
from api.access.upload_tickets import TICKET_HEADER, body_chunks, sent_digests, ticket_session
from api.documents.described import BY_TICKET, BY_UPLOAD, DIGESTS, described
from api.documents.upload_schemas import (
    PartOut,
    PartPlanOut,
    ProgressOut,
    ReceivedOut,
    TicketOut,
    UploadBody,
    UploadOut,
)
from api.wiring.services import services
from pipeline.access.idempotency import Answer, claim, record_answer
from pipeline.access.post_ownership import require_post
from pipeline.domain.audit_types import AuditType
from pipeline.media.source_info import SourceInfo
from pipeline.records.models import Upload
from pipeline.uploads.complete import abandon_upload, complete_upload
from pipeline.uploads.parts import progress_of, receive_whole
from pipeline.uploads.tickets import NewUpload, Ticket, issue_ticket, reissue_ticket

blueprint = APIBlueprint("uploads", __name__, tag="Uploads", url_prefix="/api/uploads")


@blueprint.post("")
@authorised(Role.OWNER, Role.OPERATOR)
@limited(Policy.UPLOADS)
@described(
    once=True,
    links={
        "uploads.complete": BY_UPLOAD,
        **dict.fromkeys(("uploads.progress", "uploads.content", "uploads.abandon"), BY_TICKET),
        **dict.fromkeys(("parts.sign", "parts.receive", "parts.confirm"), BY_TICKET),
    },
)
@blueprint.input(UploadBody)
@blueprint.output(TicketOut, status_code=201)
@blueprint.doc(
    responses={
        401: "",
        403: "",
        404: "",
        409: "",
        413: "",
        422: "",
        429: "Too many requests, or too many of the owner's uploads have no video",
    },
    security="bearer",
)
def issue(json_data: UploadBody) -> Response:
    """Request a ticket to send a file; an operator requests it for a named owner."""
    settings = services().settings
    owner_id = owner_of_request(json_data.owner_id)
    command = NewUpload(**json_data.model_dump() | {"owner_id": owner_id})
    key = idempotency_key("uploads", json_data.model_dump(mode="json"))
    with caller_session() as session:
        require_post(
            session,
            json_data.post_id,
            owner_id,
            rules=settings.posts,
            claimed=caller().claimed_posts,
        )
        first = claim(session, key)
        if first is not None:
            ticket = reissue_ticket(
                session,
                UUID(first.body["upload_id"]),
                key=settings.media_urls.key,
                api_key_id=caller().key_id,
            )
        else:
            ticket = issue_ticket(
                session,
                command,
                key=settings.media_urls.key,
                uploads=settings.uploads,
                sources=settings.sources,
                owner_limits=settings.owner_limits,
                now=datetime.now(UTC),
                api_key_id=caller().key_id,
            )
            # Not the whole answer: its ticket is an authority, and can be issued again.
            record_answer(
                session, key, Answer(HTTPStatus.CREATED, {"upload_id": str(ticket.upload_id)})
            )
            audit_operator(
                session,
                AuditType.UPLOAD,
                post_id=json_data.post_id,
                upload_id=ticket.upload_id,
            )
    document = _ticket_out(ticket, settings.media_urls.base_url).model_dump(mode="json")
    return respond(Answer(HTTPStatus.CREATED, document), replayed=first is not None)


def _ticket_out(ticket: Ticket, base_url: str) -> TicketOut:
    here, plan = f"{base_url}/api/uploads/{ticket.upload_id}", ticket.parts
    return TicketOut(
        upload_id=ticket.upload_id,
        method=None if plan else "PUT",
        url=None if plan else f"{here}/content",
        headers={TICKET_HEADER: ticket.token},
        parts=PartPlanOut(size_bytes=plan.part_size_bytes, count=plan.count, url=f"{here}/parts")
        if plan
        else None,
        expires_at=ticket.expires_at,
    )


@blueprint.get("/<uuid:upload_id>")
@blueprint.output(ProgressOut)
@blueprint.doc(responses={404: ""}, security="ticket")
def progress(upload_id: UUID) -> ProgressOut:
    """Read the parts that have arrived, to resume. The ticket's header is the authority."""
    known = progress_of(ticket_session(upload_id), upload_id)
    return ProgressOut(
        upload_id=upload_id,
        post_id=known.upload.post_id,
        size_bytes=known.plan.size_bytes,
        received_bytes=sum(part.size_bytes for part in known.parts),
        part_size_bytes=known.plan.part_size_bytes,
        part_count=known.plan.count,
        parts=[PartOut(**vars(part)) for part in known.parts],
        expires_at=known.upload.expires_at,
        completed_at=known.upload.completed_at,
    )


@blueprint.put("/<uuid:upload_id>/content")
@described(headers=DIGESTS, takes_bytes=True, links={"uploads.complete": BY_UPLOAD})
@blueprint.output(ReceivedOut)
@blueprint.doc(
    responses={400: "", 404: "", 409: "", 413: "", 422: "", 429: "", 503: ""}, security="ticket"
)
def content(upload_id: UUID) -> ReceivedOut:
    """Send the content of a small file. The ticket's header is the authority.

    It may be repeated until the upload is completed; the last content counts.
    """
    here = services()
    received_bytes = receive_whole(
        ticket_session(upload_id),
        upload_id,
        body_chunks(),
        digests=sent_digests(),
        storage=here.storage,
        now=datetime.now(UTC),
    )
    return ReceivedOut(upload_id=upload_id, received_bytes=received_bytes)


@blueprint.post("/<uuid:upload_id>/complete")
@authorised(Role.OWNER, Role.OPERATOR)
@blueprint.output(UploadOut)
@blueprint.doc(
    responses={401: "", 403: "", 404: "", 409: "", 413: "", 422: "", 429: "", 503: ""},
    security="bearer",
)
def complete(upload_id: UUID) -> UploadOut:
    """Complete an upload: check size, container, codecs and duration of its content."""
    here = services()
    upload = complete_upload(
        caller_session,
        upload_id,
        record=_record_completion,
        storage=here.storage,
        tools=here.tools,
        limits=here.settings.sources.limits,
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


def _record_completion(session: Session, upload: Upload) -> None:
    audit_operator(session, AuditType.UPLOAD_COMPLETE, post_id=upload.post_id, upload_id=upload.id)


@blueprint.delete("/<uuid:upload_id>")
@blueprint.output({}, status_code=204)
@blueprint.doc(responses={404: "", 409: "", 429: "", 503: ""}, security="ticket")
def abandon(upload_id: UUID) -> str:
    """Abandon an upload and delete its content. The ticket's header is the authority."""
    abandon_upload(ticket_session(upload_id), upload_id, storage=services().storage)
    return ""
