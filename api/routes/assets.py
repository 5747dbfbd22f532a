"""The routes of an owner's video: register, read, read its chronicle, retry."""

from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, url_for

from api.access.allowed_sources import check_source
from api.access.audit import audit_media, audit_operator
from api.access.caller import Role, authorised, caller, caller_session, owner_of_request
from api.access.idempotency import change_once, idempotency_key, readdressed, respond
from api.access.request_limits import Policy, limited
from api.documents.described import BODY_OF_POST, BY_POST, IF_NONE_MATCH, described
from api.documents.present import asset_out, event_out
from api.documents.schemas import (
    AssetOut,
    CreateBody,
    EventPage,
    EventsQuery,
    RetryBody,
)
from api.http.conditional import conditional
from api.wiring.services import services
from pipeline.access.idempotency import Answer
from pipeline.access.post_ownership import require_post
from pipeline.domain.audit_types import AuditType
from pipeline.domain.states import WAITING
from pipeline.domain.values import CreateAsset
from pipeline.lifecycle.create import create_asset
from pipeline.lifecycle.owner_actions import retry_asset
from pipeline.records import queries
from pipeline.records.queue_position import queue_places
from pipeline.uploads.tickets import check_declared

blueprint = APIBlueprint("assets", __name__, tag="Assets", url_prefix="/api/video-assets")


@blueprint.post("/create")
@authorised(Role.OWNER, Role.OPERATOR)
@limited(Policy.CREATE)
@described(
    once=True,
    links={
        **dict.fromkeys(("assets.read", "assets.events", "lists.playback"), BY_POST),
        **dict.fromkeys(("changes.cancel", "changes.delete", "changes.reencode"), BY_POST),
        "assets.retry": BODY_OF_POST,
    },
)
@blueprint.input(CreateBody)
@blueprint.output(AssetOut, status_code=202)
@blueprint.doc(
    responses={
        200: "The video is registered already",
        401: "",
        403: "",
        404: "",
        409: "",
        413: "",
        422: "",
        429: "Too many requests, or a limit of the owner: videos in flight, or of the day",
    },
    security="bearer",
)
def create(json_data: CreateBody) -> Response:
    """Register a video for a post; an operator registers it for a named owner.

    If the post has a video of the same source already, the answer is 200 with the asset as it is.
    With an Idempotency-Key, a repeated request gets the first answer again.
    """
    here, who = services(), caller()
    owner_id = owner_of_request(json_data.owner_id)
    if json_data.source_url is not None:
        check_source(json_data.source_url, owner_id, here.settings.sources.fetch_policy)
    check_declared(
        here.settings.sources,
        mime_type=json_data.mime_type,
        size_bytes=json_data.size_bytes,
        duration_sec=json_data.duration_sec,
    )
    with caller_session() as session:
        require_post(
            session,
            json_data.post_id,
            owner_id,
            rules=here.settings.posts,
            claimed=who.claimed_posts,
        )
        created = create_asset(
            session,
            _command(json_data, owner_id),
            provider=here.settings.accounts.default,
            new_videos=here.settings.new_videos,
            retry=here.settings.retry,
            owner_limits=here.settings.owner_limits,
            actor=who.actor,
            idempotency=idempotency_key("create", json_data.model_dump(mode="json")),
            render=lambda asset: asset_out(
                asset, here.settings.media_urls, key_id=who.key_id
            ).model_dump(mode="json"),
        )
        answer = Answer(created.status_code, created.body)
        if created.replayed:
            answer = readdressed(session, answer)
        if created.wake is not None or created.readdressed:
            audit_operator(
                session, AuditType.CREATE, post_id=json_data.post_id, asset_id=created.body["id"]
            )
    here.publisher.publish([created.wake] if created.wake else [])
    return _created(answer, replayed=created.replayed)


def _command(body: CreateBody, owner_id: str) -> CreateAsset:
    return CreateAsset(
        post_id=body.post_id,
        owner_id=owner_id,
        source_url=body.source_url,
        upload_id=body.upload_id,
        declared=body.declared(),
        title=body.title,
        poster_time_sec=body.poster_time_sec,
        playback=body.playback,
        allow_original=body.allow_original,
    )


def _created(answer: Answer, *, replayed: bool) -> Response:
    response = respond(answer, replayed=replayed)
    response.headers["Location"] = url_for("assets.read", post_id=answer.body["post_id"])
    return response


@blueprint.post("/retry")
@authorised(Role.OWNER, Role.OPERATOR)
@limited(Policy.RETRY)
@described(once=True)
@blueprint.input(RetryBody)
@blueprint.output(AssetOut, status_code=202)
@blueprint.doc(
    responses={
        401: "",
        403: "",
        404: "",
        409: "",
        422: "",
        429: "Too many requests, or too many of the owner's videos are in flight",
    },
    security="bearer",
)
def retry(json_data: RetryBody) -> Response:
    """Retry a failed video: its retry budget starts over, its history stays."""
    settings = services().settings
    return change_once(
        AuditType.RETRY,
        json_data.post_id,
        lambda session, post_id, *, actor: retry_asset(
            session, post_id, retry=settings.retry, owner_limits=settings.owner_limits, actor=actor
        ),
    )


@blueprint.get("/<uuid:post_id>")
@authorised(*Role)
@described(headers=[IF_NONE_MATCH])
@blueprint.output(AssetOut)
@blueprint.doc(responses={304: "Not modified", 401: "", 404: ""}, security="bearer")
def read(post_id: UUID) -> Response:
    """Read the video of a post."""
    with caller_session() as session:
        asset = queries.asset_of_post(session, post_id)
        place = queue_places(session, [asset.id]).get(asset.id) if asset.status in WAITING else None
        urls = services().settings.media_urls
        document = asset_out(asset, urls, place=place, key_id=caller().key_id)
        audit_media(session, [document])
    return conditional(document)


@blueprint.get("/<uuid:post_id>/events")
@authorised(*Role)
@blueprint.input(EventsQuery, location="query")
@blueprint.output(EventPage)
@blueprint.doc(responses={401: "", 404: "", 422: ""}, security="bearer")
def events(post_id: UUID, query_data: EventsQuery) -> EventPage:
    """Read the chronicle of a post's video, oldest first.

    For an owner, the `actor` of every operator is `operator`.
    """
    hides_operators = caller().role is Role.OWNER
    with caller_session() as session:
        page = queries.chronicle_page(
            session, post_id, after=query_data.after, limit=query_data.limit
        )
    is_full = len(page) == query_data.limit
    return EventPage(
        events=[event_out(event, hides_operators=hides_operators) for event in page],
        next_after=page[-1].seq if is_full else None,
    )
