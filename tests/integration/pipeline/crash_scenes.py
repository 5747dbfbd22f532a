"""Worlds in which a boundary is about to be reached, each returning what the deed is given."""

import json
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

import jwt
from sqlalchemy import select
from sqlalchemy.orm import Session

from pipeline.domain.values import CreateAsset
from pipeline.lifecycle.create import create_asset
from pipeline.lifecycle.submit import submit
from pipeline.records.models import Upload
from pipeline.runtime.database import session_of, user_session
from pipeline.uploads.complete import complete_upload
from pipeline.uploads.parts import Digests, receive_whole
from pipeline.uploads.tickets import NewUpload, issue_ticket
from tests.integration.pipeline.conftest import CLIP, OWNER, World
from tests.integration.pipeline.steps import ACTOR, cancel, delete, reencode
from tests.integration.pipeline.steps import complete as complete_asset
from tests.scripted_provider import callback

CONTENT = CLIP.read_bytes()

Given = tuple[object, ...]


def owner(world: World) -> AbstractContextManager[Session]:
    return user_session(world._api, OWNER)


def waiting(world: World, answer: str = "accept") -> Given:
    """An asset that is due, and how the provider will answer its submission."""
    world.provider.script = [answer]
    return (world.create(),)


def unanswered(world: World) -> Given:
    """An asset whose submission was taken and never answered, and whose lease has lapsed."""
    world.provider.script = ["drop"]
    asset_id = world.create()
    assert submit(world.services, asset_id).result == "unanswered"
    world.make_past(asset_id, "lease_expires_at")
    return (asset_id,)


def submitted(world: World) -> UUID:
    asset_id = world.create()
    assert submit(world.services, asset_id).result == "submitted"
    return asset_id


def called_back(world: World) -> Given:
    """A finished job whose callback is in the inbox."""
    asset_id = submitted(world)
    received = world.receive(callback(world.provider.finish(world.attempt_id(asset_id))))
    assert received.wake is not None
    return (received.wake.id,)


def silent(world: World) -> Given:
    """A finished job of which nothing was heard, due to be asked about."""
    asset_id = submitted(world)
    world.provider.finish(world.attempt_id(asset_id))
    world.make_past(asset_id, "next_poll_at")
    return (asset_id,)


def cancelled(world: World) -> Given:
    """A job that nobody waits for any more."""
    asset_id = submitted(world)
    cancel(world, asset_id)
    return (world.attempt_id(asset_id),)


def unwoken(world: World) -> Given:
    """A due asset whose message was lost."""
    asset_id = world.create()
    world.execute("UPDATE video_assets SET woken_at = NULL WHERE id = :id", id=asset_id)
    return ()


def overdue(world: World) -> Given:
    """A job that its provider takes too long over."""
    world.make_past(submitted(world), "deadline_at")
    return ()


def replaced(world: World) -> Given:
    """Outputs of two generations; those of the first are to go."""
    asset_id = world.create()
    for generation in (1, 2):
        if generation > 1:
            reencode(world, asset_id)
        attempt_id = complete_asset(world, asset_id)
        for folder in ("processed", "posters"):
            world.services.storage.write(f"{folder}/{asset_id}/{attempt_id}/file", [b"12345"])
    world.execute("UPDATE provider_attempts SET purge_at = now() WHERE purge_at IS NOT NULL")
    return ()


def ticket(world: World) -> Given:
    """The right to upload, and the content it is for."""
    request = NewUpload(uuid4(), OWNER, "holiday.mp4", len(CONTENT), "video/mp4")
    with owner(world) as session:
        issued = issue_ticket(
            session,
            request,
            key=world.api.media_urls.key,
            uploads=world.api.uploads,
            sources=world.api.sources,
            owner_limits=world.api.owner_limits,
            now=datetime.now(UTC),
        )
    return (issued.upload_id, CONTENT)


def uploaded(world: World) -> Given:
    """An upload that has arrived and not been completed."""
    ticket(world)
    send(world, only_upload(world).id)
    return (only_upload(world).id,)


def abandoned(world: World) -> Given:
    """An upload that has arrived and was never completed."""
    uploaded(world)
    world.execute("UPDATE uploads SET expires_at = now() - interval '1 s'")
    return ()


def unclaimed(world: World) -> Given:
    """An upload that was completed and never became a video."""
    uploaded(world)
    complete(world)
    world.execute("UPDATE uploads SET completed_at = now() - interval '2 d'")
    return ()


def deleted(world: World) -> Given:
    """A deleted asset whose source was uploaded."""
    uploaded(world)
    asset_id = use_upload(world)
    delete(world, asset_id)
    world.execute("UPDATE video_assets SET deleted_at = now() - interval '2 d'")
    return ()


def requested(world: World) -> Given:
    """A site registers a video."""
    source = f"{world.provider.url}/out/source.mp4"
    token = {
        "sub": OWNER,
        "iss": "khronika",
        "aud": "authenticated",
        "role": "authenticated",
        "exp": int(datetime.now(UTC).timestamp()) + 600,
    }
    secret = world.api.tokens.jwt_secret
    assert secret is not None
    key = secret.get_secret_value()
    headers = {
        "Authorization": f"Bearer {jwt.encode(token, key, algorithm='HS256')}",
        "Content-Type": "application/json",
    }
    body = json.dumps({"post_id": str(uuid4()), "source_url": source}).encode()
    return ("/api/video-assets/create", headers, body)


def calling_back(world: World) -> Given:
    """A provider tells of a finished job."""
    asset_id = submitted(world)
    headers, body = callback(world.provider.finish(world.attempt_id(asset_id)))
    return ("/api/video-assets/webhook/selfhosted", headers, body)


def send(world: World, upload_id: UUID) -> None:
    """The client sends its file, again if need be."""
    receive_whole(
        partial(owner, world),
        upload_id,
        [CONTENT],
        digests=Digests(),
        storage=world.services.storage,
        now=datetime.now(UTC),
    )


def only_upload(world: World) -> Upload:
    with session_of(world.services.engine) as session:
        return session.scalars(select(Upload)).one()


def complete(world: World) -> Upload:
    """The client has its upload checked."""
    return complete_upload(
        partial(owner, world),
        only_upload(world).id,
        storage=world.services.storage,
        tools=world.services.tools,
        limits=world.api.sources.limits,
        now=datetime.now(UTC),
    )


def use_upload(world: World) -> UUID:
    """The client completes its upload, once a killed check's claim has lapsed, and registers it."""
    world.execute("UPDATE uploads SET checking_until = now() WHERE checking_until IS NOT NULL")
    upload = complete(world)
    with owner(world) as session:
        created = create_asset(
            session,
            CreateAsset(upload.post_id, OWNER, None, upload.id, {}),
            provider="selfhosted",
            new_videos=world.api.new_videos,
            retry=world.api.retry,
            owner_limits=world.api.owner_limits,
            actor=ACTOR,
            render=lambda asset: {"id": str(asset.id)},
        )
    assert created.asset is not None
    return created.asset.id


def send_and_use_upload(world: World) -> UUID:
    """The client, unanswered, does it all again."""
    send(world, only_upload(world).id)
    return use_upload(world)
