"""The routes of a large upload's parts: the requests that send them, and their confirmation.

A client does the same for every storage: it requests the address of each part, sends the part
there, and confirms it with the ``ETag`` of the answer. Some storages receive the parts themselves,
at signed addresses; for the others, the addresses lead here.
"""

from datetime import UTC, datetime
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, jsonify, request

from api.access.upload_tickets import TICKET_HEADER, body_chunks, sent_digests, ticket_session
from api.documents.described import DIGESTS, described
from api.documents.upload_schemas import (
    PartBody,
    PartNumbersBody,
    PartOut,
    PartRequestOut,
    PartRequestsOut,
)
from api.wiring.services import services
from pipeline.uploads.parts import PartRequest, confirm_part, receive_part, request_parts

blueprint = APIBlueprint("parts", __name__, tag="Parts of uploads", url_prefix="/api/uploads")


@blueprint.post("/<uuid:upload_id>/parts")
@blueprint.input(PartNumbersBody)
@blueprint.output(PartRequestsOut)
@blueprint.doc(responses={404: "", 409: "", 422: "", 429: "", 503: ""}, security="ticket")
def sign(upload_id: UUID, json_data: PartNumbersBody) -> PartRequestsOut:
    """Request the addresses of parts. The ticket's header is the authority."""
    parts, until = request_parts(
        ticket_session(upload_id),
        upload_id,
        json_data.numbers,
        json_data.md5,
        storage=services().storage,
        now=datetime.now(UTC),
    )
    md5s = json_data.md5
    return PartRequestsOut(
        parts=[_request_out(upload_id, part, md5s.get(part.number)) for part in parts],
        expires_at=until,
    )


@blueprint.put("/<uuid:upload_id>/parts/<int:number>")
@described(headers=DIGESTS, takes_bytes=True)
@blueprint.output(PartOut)
@blueprint.doc(
    responses={400: "", 404: "", 409: "", 413: "", 422: "", 429: "", 503: ""}, security="ticket"
)
def receive(upload_id: UUID, number: int) -> Response:
    """Send a part. The ticket's header is the authority.

    It may be repeated until the upload is completed; the last content counts.
    """
    part = receive_part(
        ticket_session(upload_id),
        upload_id,
        number,
        body_chunks(),
        digests=sent_digests(),
        storage=services().storage,
        now=datetime.now(UTC),
    )
    response = jsonify(PartOut(**vars(part)).model_dump())
    response.set_etag(part.etag)
    return response


@blueprint.post("/<uuid:upload_id>/parts/<int:number>")
@blueprint.input(PartBody)
@blueprint.output(PartOut)
@blueprint.doc(responses={404: "", 409: "", 422: "", 429: "", 503: ""}, security="ticket")
def confirm(upload_id: UUID, number: int, json_data: PartBody) -> PartOut:
    """Confirm that a part was sent, so that no client sends it again. The ticket is the authority.

    The confirmation is checked when the upload is completed; without an ``etag``, the storage is
    asked now.
    """
    part = confirm_part(
        ticket_session(upload_id),
        upload_id,
        number,
        json_data.etag and json_data.etag.strip('"'),
        storage=services().storage,
        now=datetime.now(UTC),
    )
    return PartOut(**vars(part))


def _request_out(upload_id: UUID, part: PartRequest, md5: str | None) -> PartRequestOut:
    if part.direct is not None:
        url, headers = part.direct.url, dict(part.direct.headers)
    else:
        url = (
            f"{services().settings.media_urls.base_url}/api/uploads/{upload_id}/parts/{part.number}"
        )
        headers = {TICKET_HEADER: request.headers[TICKET_HEADER]}
        headers |= {"Content-MD5": md5} if md5 else {}
    return PartRequestOut(
        number=part.number, size_bytes=part.size_bytes, method="PUT", url=url, headers=headers
    )
