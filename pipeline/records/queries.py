"""Reads of the API: each function is one query, served by an index, bounded by its arguments.

Reads bypass the use cases. Row-level security limits an owner's session to the owner's rows. A
caller passes the session of the role whose view it needs.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Function,
    Select,
    Uuid,
    cast,
    exists,
    func,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from pipeline.domain.errors import NotFound
from pipeline.domain.states import Status
from pipeline.domain.values import Playback
from pipeline.records.models import ApiKey, Asset, Event

TRUE: ColumnElement[bool] = true()


class Card(NamedTuple):
    """The data of a post's video that a page shows: a row of ``khronika_cards``."""

    id: UUID
    post_id: UUID
    status: Status
    progress: float | None
    submitted: bool
    """True if a provider has named its job."""
    playable: bool
    playback: Playback
    title: str | None
    manifest_url: str | None
    fallback_url: str | None
    poster_url: str | None
    thumbnail_url: str | None
    storyboard_url: str | None
    duration_sec: float | None
    width: int | None
    height: int | None
    updated_at: datetime
    original: Mapping[str, str | None] | None
    """The source that may be played instead, as ``pipeline.content.original`` reads it."""

    @property
    def is_for_everybody(self) -> bool:
        """False for a signed video: without a right to it, it is not told from no video."""
        return self.playback is Playback.PUBLIC


class PublishedOutput(NamedTuple):
    """The published output of one asset: a row of ``khronika_output``."""

    playback: Playback
    provider: str | None
    """The account that made it; None for an output without a row of its own."""
    manifest_url: str | None
    fallback_url: str | None
    poster_url: str | None
    thumbnail_url: str | None
    storyboard_url: str | None


class PageCursor(NamedTuple):
    """The last row of a page of the operators' list."""

    updated_at: datetime
    id: UUID


def asset_of_post(session: Session, post_id: UUID) -> Asset:
    """Return the asset of a post that is not deleted. Index: ``video_assets_post_live``.

    Raises:
        NotFound: ``post_not_found``: it does not exist or belongs to another owner. The error does
            not reveal which of the two.
    """
    asset = session.scalars(
        select(Asset)
        .where(Asset.post_id == post_id, Asset.deleted_at.is_(None))
        .execution_options(populate_existing=True)
    ).one_or_none()
    if asset is None:
        raise NotFound("post_not_found")
    return asset


def select_asset(post_id: UUID) -> Select[Asset]:
    """Return the query for the asset of a post that is not deleted."""
    return select(Asset).where(Asset.post_id == post_id, Asset.deleted_at.is_(None))


def assets_of_posts(session: Session, post_ids: Sequence[UUID]) -> Sequence[Asset]:
    """Return the assets of these posts that are not deleted and that this session sees.

    Index: ``video_assets_post_live``.
    """
    live = Asset.deleted_at.is_(None)
    return session.scalars(select(Asset).where(Asset.post_id.in_(post_ids), live)).all()


def chronicle_page(session: Session, post_id: UUID, *, after: int, limit: int) -> Sequence[Event]:
    """Return the events of a post's video with ``seq`` above ``after``, oldest first.

    The primary key ``(asset_id, seq, created_at)`` of every partition serves it in order.

    Raises:
        NotFound: ``post_not_found``.
    """
    asset = asset_of_post(session, post_id)
    return session.scalars(
        select(Event)
        .where(Event.asset_id == asset.id, Event.seq > after)
        .order_by(Event.seq)
        .limit(limit)
    ).all()


def assets_in_status(
    session: Session, status: Status, *, before: PageCursor | None, limit: int
) -> Sequence[Asset]:
    """Return a page of the operators' list, most recently changed first, from ``before`` on.

    Keyset-paged: ``video_assets_status_updated (status, updated_at, id)`` is read backwards from
    ``before``, so that the thousandth page costs as much as the first.
    """
    query = select(Asset).where(Asset.status == status, Asset.deleted_at.is_(None))
    if before is not None:
        query = query.where(tuple_(Asset.updated_at, Asset.id) < tuple_(*before))
    # Every row of a page has the same status. Under row-level security the planner cannot use that
    # to take the order from the index, because the comparison of enums is not marked leakproof.
    order = (Asset.status.desc(), Asset.updated_at.desc(), Asset.id.desc())
    return session.scalars(query.order_by(*order).limit(limit)).all()


def public_cards(session: Session, post_ids: Sequence[UUID]) -> list[Card]:
    """Return the public cards of these posts, in the given order; unknown posts are absent.

    The card of a signed asset has its state and its size, and no address of its content. It tells
    the API that an owner's document has changed; no other viewer is shown it.
    """
    return _cards(session, func.public_assets(_array(post_ids)), post_ids)


def card_of_post(session: Session, post_id: UUID) -> Card | None:
    """Return the whole card of a post's video; None if this session does not see the video."""
    cards = _cards(session, func.khronika_cards(_array([post_id])), [post_id])
    return cards[0] if cards else None


def public_output(session: Session, asset_id: UUID) -> PublishedOutput | None:
    """Return the published output of a public asset; None if there is none."""
    return _output(session, func.public_output(asset_id))


def output_of_asset(
    session: Session, asset_id: UUID, *, key_id: UUID | None = None
) -> PublishedOutput | None:
    """Return the published output of any asset, for a caller whose token has been checked.

    Args:
        key_id: The API key that the token was given to, which must be in force.
    """
    return _output(session, func.khronika_output(asset_id), _key_holds(key_id))


def grants_media(
    session: Session,
    asset_id: UUID,
    *,
    attempt_id: UUID | None,
    key_id: UUID | None,
    is_source: bool,
) -> bool:
    """Return true if the rows on which a media token depends still allow what it opens."""
    allowed = func.khronika_media_grant(asset_id, attempt_id, is_source, type_=Boolean)
    return session.scalars(select(allowed & _key_holds(key_id))).one()


def keys_in_force(session: Session, key_ids: Collection[UUID]) -> frozenset[UUID]:
    """Return those of these API keys that are neither revoked nor expired."""
    return frozenset(session.scalars(select(ApiKey.id).where(ApiKey.id.in_(key_ids), in_force())))


def in_force() -> ColumnElement[bool]:
    """Return the condition of an API key that is neither revoked nor expired."""
    in_time = ApiKey.expires_at.is_(None) | (ApiKey.expires_at > func.now())
    return ApiKey.revoked_at.is_(None) & in_time


def _key_holds(key_id: UUID | None) -> ColumnElement[bool]:
    if key_id is None:
        return TRUE
    return exists().where(ApiKey.id == key_id, in_force())


def _output(
    session: Session, call: Function[Any], condition: ColumnElement[bool] = TRUE
) -> PublishedOutput | None:
    columns = call.table_valued(*PublishedOutput._fields).c
    row = session.execute(select(*columns).where(condition)).one_or_none()
    return PublishedOutput(*row)._replace(playback=Playback(row.playback)) if row else None


def _array(post_ids: Sequence[UUID]) -> ColumnElement[Any]:
    return cast(list(post_ids), ARRAY(Uuid))


def _cards(session: Session, call: Function[Any], post_ids: Sequence[UUID]) -> list[Card]:
    rows = session.execute(select(*call.table_valued(*Card._fields).c))
    cards = {
        row.post_id: Card(*row)._replace(status=Status(row.status), playback=Playback(row.playback))
        for row in rows
    }
    return [cards[post_id] for post_id in dict.fromkeys(post_ids) if post_id in cards]
