"""An owner's videos: register one, watch it, read its chronicle, try it again."""

import json
from hashlib import sha256
from http import HTTPStatus
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, jsonify, request, url_for

from api.answers import conditional
from api.auth import Role, authorised, caller, caller_session
from api.present import asset_out, event_out
from api.problems import Problem
from api.schemas import (
    UNSTORABLE,
    AssetOut,
    CreateBody,
    EventPage,
    EventsQuery,
    RetryBody,
)
from api.services import services
from api.sources import check_source
from pipeline import views
from pipeline.usecases.create import Created, create_asset
from pipeline.usecases.idempotency import IdempotencyKey
from pipeline.usecases.retry import retry_asset
from pipeline.usecases.upload import check_declared
from pipeline.values import CreateAsset

blueprint = APIBlueprint("assets", __name__, tag="Assets", url_prefix="/api/video-assets")

MAX_KEY_CHARS = 255
"""As long as Stripe's Idempotency-Key may be."""


@blueprint.post("/create")
@authorised(Role.OWNER)
@blueprint.input(CreateBody)
@blueprint.output(AssetOut, status_code=202)
@blueprint.doc(
    responses={
        200: "It was registered already",
        401: "",
        403: "",
        404: "",
        409: "",
        413: "",
        422: "",
    },
    security="bearer",
)
def create(json_data: CreateBody) -> Response:
    """Register a video for a post.

    The same post and source again answers 200 with the asset as it is. With an Idempotency-Key
    a repeated request gets the first answer again.
    """
    here, who = services(), caller()
    if json_data.source_url is not None:
        check_source(json_data.source_url, who.subject, here.fetch_policy)
    check_declared(
        here.settings,
        mime_type=json_data.mime_type,
        size_bytes=json_data.size_bytes,
        duration_sec=json_data.duration_sec,
    )
    with caller_session() as session:
        created = create_asset(
            session,
            _command(json_data, who.subject),
            settings=here.settings,
            actor=who.actor,
            idempotency=_idempotency_key(json_data),
            render=lambda asset: asset_out(asset, here.settings).model_dump(mode="json"),
        )
    here.publisher.publish([created.wake] if created.wake else [])
    return _created(created)


def _command(body: CreateBody, owner_id: str) -> CreateAsset:
    return CreateAsset(
        post_id=body.post_id,
        owner_id=owner_id,
        source_url=body.source_url,
        upload_id=body.upload_id,
        declared=body.declared(),
        title=body.title,
        poster_time_sec=body.poster_time_sec,
    )


def _idempotency_key(body: CreateBody) -> IdempotencyKey | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key) <= MAX_KEY_CHARS or UNSTORABLE.search(key):
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "idempotency_key_invalid",
            f"An Idempotency-Key has 1 to {MAX_KEY_CHARS} printable characters.",
        )
    # Over what was understood, not the bytes: a retry may order its members otherwise.
    canonical = json.dumps(body.model_dump(mode="json"), sort_keys=True).encode()
    return IdempotencyKey(caller().subject, "create", key, sha256(canonical).hexdigest())


def _created(created: Created) -> Response:
    response = jsonify(created.body)
    response.status_code = created.status_code
    response.headers["Location"] = url_for("assets.read", post_id=created.body["post_id"])
    if created.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


@blueprint.post("/retry")
@authorised(Role.OWNER, Role.OPERATOR)
@blueprint.input(RetryBody)
@blueprint.output(AssetOut, status_code=202)
@blueprint.doc(responses={401: "", 403: "", 404: "", 409: "", 422: ""}, security="bearer")
def retry(json_data: RetryBody) -> AssetOut:
    """Try a failed video again: its retry budget starts over, its history stays."""
    here = services()
    with caller_session() as session:
        retried = retry_asset(
            session, json_data.post_id, settings=here.settings, actor=caller().actor
        )
    here.publisher.publish([retried.wake])
    return asset_out(retried.asset, here.settings)


@blueprint.get("/<uuid:post_id>")
@authorised(*Role)
@blueprint.output(AssetOut)
@blueprint.doc(responses={304: "Not modified", 401: "", 404: ""}, security="bearer")
def read(post_id: UUID) -> Response:
    """Read the video of a post."""
    with caller_session() as session:
        asset = views.asset_of_post(session, post_id)
    return conditional(asset_out(asset, services().settings))


@blueprint.get("/<uuid:post_id>/events")
@authorised(*Role)
@blueprint.input(EventsQuery, location="query")
@blueprint.output(EventPage)
@blueprint.doc(responses={401: "", 404: "", 422: ""}, security="bearer")
def events(post_id: UUID, query_data: EventsQuery) -> EventPage:
    """Read the chronicle of a post's video, oldest first."""
    with caller_session() as session:
        page = views.chronicle_page(
            session, post_id, after=query_data.after, limit=query_data.limit
        )
    is_full = len(page) == query_data.limit
    return EventPage(
        events=[event_out(event) for event in page], next_after=page[-1].seq if is_full else None
    )
