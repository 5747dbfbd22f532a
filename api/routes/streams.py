"""The routes of live status: a stream of events for the posts of a page, and its tickets."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from random import SystemRandom
from time import monotonic
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, request

from api.access.audit import audit_operator, audit_stream
from api.access.caller import Role, Scope, authorised, caller, caller_session
from api.documents.described import LAST_EVENT_ID, described
from api.documents.post_ids import invalid_parameter, read_post_ids
from api.documents.schemas import StreamQuery, StreamTicketOut
from api.http.client_address import client_address
from api.http.connections import Connection
from api.http.problems import Problem
from api.live.event_stream import read_id, write_comment, write_event, write_id, write_retry
from api.live.hub import Streams, StreamsFull
from api.live.stream_tickets import (
    PUBLIC,
    refused_ticket,
    sign_ticket,
    viewer_of_ticket,
)
from api.live.subscription import Subscription
from api.wiring.services import services
from pipeline.domain.audit_types import AuditType
from pipeline.net.client_networks import network_of
from pipeline.records import queries
from pipeline.runtime.database import session_of

blueprint = APIBlueprint("streams", __name__, tag="Live status", url_prefix="/api")

RETRY_MS = 2000
"""The delay of a browser before it reconnects; at most a quarter of the browsers' own delays."""
FULL_RETRY_AFTER_SEC = 30
"""Half of a stream's life, in which places become free."""
HEARTBEAT_SEC = 15.0
"""The interval of comments in a silent stream: proxies close silent connections, most of them after
60 s."""
LOOK_UP_SEC = 1.0
"""The longest time until a thread notices a closed connection or the end of the process."""
JITTER = 0.2
"""The share of its life by which a stream may end sooner, so that clients reconnect at different
times."""

HEADERS = {
    "Cache-Control": "no-store",
    # nginx would buffer the events.
    "X-Accel-Buffering": "no",
}


@blueprint.post("/stream-tickets")
@authorised(*Role, scope=Scope.ASSETS_READ)
@blueprint.output(StreamTicketOut, status_code=201)
@blueprint.doc(responses={401: "", 403: ""}, security="bearer")
def issue() -> tuple[StreamTicketOut, int, dict[str, str]]:
    """Request a ticket that opens streams with the caller's rights, for some minutes.

    With an owner's ticket, the stream contains the complete assets of the owner's own posts; with
    an operator's, of every post. Request another before it expires.
    """
    settings, who = services().settings, caller()
    expires_at = datetime.now(UTC) + timedelta(seconds=settings.streams.ticket_sec)
    expires_at = expires_at.replace(microsecond=0)
    ticket = sign_ticket(
        settings.media_urls.key, who.subject, who.role, expires_at=expires_at, key_id=who.key_id
    )
    if who.role is not Role.OWNER:
        with caller_session() as session:
            audit_operator(session, AuditType.STREAM_TICKET)
    document = StreamTicketOut(ticket=ticket, expires_at=expires_at)
    return document, HTTPStatus.CREATED, {"Cache-Control": "no-store"}


@blueprint.get("/video-assets/stream")
@described(headers=[LAST_EVENT_ID], media_type="text/event-stream")
@blueprint.input(StreamQuery, location="query")
@blueprint.doc(responses={200: "Server-sent events", 401: "", 422: ""})
def stream(query_data: StreamQuery) -> Response:
    """Follow the videos of posts, as server-sent events.

    `asset` carries the current view of a post's video: its card, or the complete asset with the
    `ticket` of its owner or an operator. `gone` carries the `post_id` of a post that has no video
    (any more) or whose signed video the viewer has no right to. The stream first sends every post,
    then each change. It ends within a minute; a client that reconnects with `Last-Event-ID` is sent
    the changes meanwhile. After 503 `stream_full`, poll instead.
    """
    here = services()
    post_ids = read_post_ids(query_data.post_ids)
    if not post_ids:
        raise invalid_parameter("post_ids", "names no post")
    viewer, subject = PUBLIC, None
    if query_data.ticket is not None:
        viewer, subject = viewer_of_ticket(
            here.settings.media_urls.accepted_keys, query_data.ticket, now=datetime.now(UTC)
        )
    if viewer.key_id is not None and not _is_in_force(viewer.key_id):
        raise refused_ticket()
    if viewer.is_operator:
        here.engines.require_operators()
    if request.method == "HEAD":
        return Response(content_type="text/event-stream", headers=HEADERS)
    held = read_id(post_ids, request.headers.get("Last-Event-ID", ""))
    connection = Connection(request.environ)
    try:
        subscription = here.streams.open(
            viewer, post_ids, held, address=network_of(client_address()), cut=connection.cut
        )
    except StreamsFull:
        raise _full() from None
    if viewer.is_operator and subject is not None:
        try:
            audit_stream(subject, post_ids)
        except BaseException:
            here.streams.close(subscription)
            raise
    events = _events(
        here.streams, subscription, connection, dict(held), here.settings.streams.life_sec
    )
    response = Response(events, content_type="text/event-stream", headers=HEADERS)
    # Called in every case, also if not even the first event was sent.
    response.call_on_close(lambda: here.streams.close(subscription))
    return response


def _is_in_force(key_id: UUID) -> bool:
    with session_of(services().engines.api) as session:
        return bool(queries.keys_in_force(session, [key_id]))


def _full() -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "stream_full",
        "This process has as many open streams as it may; request cards instead, and retry later.",
        headers={"Retry-After": str(FULL_RETRY_AFTER_SEC)},
    )


def _events(
    streams: Streams,
    subscription: Subscription,
    connection: Connection,
    held: dict[UUID, bytes],
    life_sec: float,
) -> Iterator[str]:
    """Yield the stream's text, in the thread of its request."""
    now = monotonic()
    ends_at = now + life_sec * (1 - JITTER * SystemRandom().random())
    beats_at = now + HEARTBEAT_SEC
    yield write_retry(RETRY_MS)
    while now < ends_at and not (
        subscription.has_ended or streams.are_ending or connection.is_gone()
    ):
        taken = subscription.take(min(LOOK_UP_SEC, ends_at - now))
        for post_id, document in taken.items():
            held[post_id] = document.digest
            yield write_event(document, write_id(subscription.post_ids, held))
        now = monotonic()
        if taken:
            beats_at = now + HEARTBEAT_SEC
        elif now >= beats_at:
            yield write_comment(
                "the database is away" if streams.is_database_away else "still here"
            )
            beats_at = now + HEARTBEAT_SEC
