"""Idempotency-Key: a repeated request gets the first answer again and changes nothing."""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Response, jsonify, request
from sqlalchemy.orm import Session

from api.access.audit import audit_media, audit_operator
from api.access.caller import Role, caller, caller_session
from api.documents.present import asset_out
from api.documents.schemas import UNSTORABLE
from api.http.problems import Problem
from api.wiring.services import services
from pipeline.access.idempotency import Answer, IdempotencyKey, claim, record_answer
from pipeline.domain.audit_types import AuditType
from pipeline.domain.values import ADDRESS_FIELDS, Playback
from pipeline.lifecycle.owner_actions import Changed
from pipeline.records import queries

MAX_KEY_CHARS = 255
"""The longest Idempotency-Key of Stripe's API."""


def idempotency_key(route: str, parsed: Mapping[str, Any]) -> IdempotencyKey | None:
    """Return the idempotency key of the current request, or None if it has none.

    Args:
        route: The name of the operation. An operator's keys are separate from the keys of an owner
            with the same subject.
        parsed: The parsed request as JSON. Its bytes are not compared, because a repeated request
            may order its members differently.

    Raises:
        Problem: 400 ``idempotency_key_invalid``.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key) <= MAX_KEY_CHARS or UNSTORABLE.search(key):
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "idempotency_key_invalid",
            f"An Idempotency-Key has 1 to {MAX_KEY_CHARS} printable characters.",
        )
    who = caller()
    scope = route if who.role is Role.OWNER else f"{who.role.value}:{route}"
    digest = sha256(json.dumps(parsed, sort_keys=True).encode()).hexdigest()
    return IdempotencyKey(who.subject, scope, key, digest)


def change_once(action: AuditType, post_id: UUID, change: Callable[..., Changed]) -> Response:
    """Change the video of a post once for each idempotency key, and publish the wakes.

    Args:
        action: Its type in the audit; its value is the name of the route.
        change: The use case; it gets the session, the post and the actor.
    """
    here = services()
    key = idempotency_key(action.value, {"post_id": str(post_id)})
    with caller_session() as session:
        first = claim(session, key)
        if first is not None:
            return respond(readdressed(session, first), replayed=True)
        changed = change(session, post_id, actor=caller().actor)
        audit_operator(session, action, post_id=post_id, asset_id=changed.asset.id)
        shown = asset_out(changed.asset, here.settings.media_urls, key_id=caller().key_id)
        audit_media(session, [shown])
        answer = Answer(HTTPStatus.ACCEPTED, shown.model_dump(mode="json"))
        record_answer(session, key, answer)
    here.publisher.publish(changed.wakes)
    return respond(answer)


def readdressed(session: Session, first: Answer) -> Answer:
    """Return a stored answer with the addresses of its signed video signed anew.

    They are kept in no row. The video must still exist; the other members are the first answer's.
    """
    body = first.body
    if body.get("playback") != Playback.SIGNED or body.get("status") is None:
        return first
    asset = session.scalars(queries.select_asset(UUID(body["post_id"]))).one_or_none()
    if asset is None or str(asset.id) != body["id"]:
        return first
    urls = services().settings.media_urls
    shown = asset_out(asset, urls, key_id=caller().key_id)
    audit_media(session, [shown])
    now = shown.model_dump(mode="json")
    renewed = {name: now[name] for name in (*ADDRESS_FIELDS, "urls_expire_at")}
    return Answer(first.status_code, {**body, **renewed})


def respond(answer: Answer, *, replayed: bool = False) -> Response:
    """Return an answer as a response; a replayed one has a header that says so."""
    response = jsonify(answer.body)
    response.status_code = answer.status_code
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response
