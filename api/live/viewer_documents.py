"""The current documents of followed posts for each viewer, read again and again.

One statement reads the public cards of all followed posts, for all viewers. A card changes whenever
its asset does (``updated_at``). An owner's own documents are read in a transaction of that owner,
only for posts whose cards have changed; row-level security decides on the posts that are the
owner's.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic
from uuid import UUID

from sqlalchemy.orm import Session

from api.documents.present import asset_out, card_out, queue_position_out
from api.documents.schemas import AssetOut, GoneOut
from api.identity.database_roles import Engines
from api.live.event_stream import Document
from api.live.stream_tickets import PUBLIC, Viewer
from pipeline.config.media_settings import MediaUrlSettings
from pipeline.content.object_urls import playback_ends_at
from pipeline.domain.states import WAITING
from pipeline.records import queries
from pipeline.records.queries import Card
from pipeline.records.queue_position import queue_places
from pipeline.runtime.database import session_of, user_session

TURNS_EVERY_SEC = 5.0
"""The interval of reading queue positions; they change without a change of the waiting row."""

Followed = Mapping[Viewer, Collection[UUID]]
Seen = Mapping[Viewer, Mapping[UUID, Document]]


class ViewerDocuments:
    """A cache of documents, which reads and renders the changed ones only; for one thread."""

    def __init__(
        self, engines: Engines, urls: MediaUrlSettings, clock: Callable[[], float] = monotonic
    ) -> None:
        self._engines = engines
        self._urls = urls
        self._clock = clock
        self._cards: dict[UUID, Card] = {}
        self._seen: dict[Viewer, dict[UUID, Document]] = {}
        self._waiting: dict[tuple[Viewer, UUID], AssetOut] = {}
        """Owners' documents that contain a queue position."""
        self._turns_read_at = clock()
        self._addresses_end_at: datetime | None = None

    def read(self, followed: Followed) -> Seen:
        """Return the current documents of each viewer's posts, changed or not.

        A viewer whose API key has been revoked is absent.

        Raises:
            SQLAlchemyError: The database is unavailable. The next call returns the missed changes.
        """
        followed = self._in_force(followed)
        self._renew_addresses()
        self._read_cards({post_id for post_ids in followed.values() for post_id in post_ids})
        self._forget(followed)
        for viewer, post_ids in followed.items():
            seen = self._seen.setdefault(viewer, {})
            seen |= self._read_documents(viewer, {p for p in post_ids if p not in seen})
        self._read_turns()
        return self._seen

    def _in_force(self, followed: Followed) -> Followed:
        """Return the viewers without those whose API key is revoked or has expired."""
        key_ids = {viewer.key_id for viewer in followed if viewer.key_id is not None}
        if not key_ids:
            return followed
        with session_of(self._engines.api) as session:
            valid = queries.keys_in_force(session, key_ids)
        return {v: p for v, p in followed.items() if v.key_id is None or v.key_id in valid}

    def _renew_addresses(self) -> None:
        """Render every document again once later ends of addresses are given."""
        now, lifetime_sec = datetime.now(UTC), self._urls.playback_expires_sec
        ends_at = playback_ends_at(now, lifetime_sec)
        if ends_at != self._addresses_end_at:
            self._seen.clear()
        self._addresses_end_at = ends_at

    def _read_cards(self, post_ids: Collection[UUID]) -> None:
        with session_of(self._engines.public) as session:
            cards = {card.post_id: card for card in queries.public_cards(session, list(post_ids))}
        known, self._cards = self._cards, cards
        changed = {p for p in known.keys() | cards.keys() if cards.get(p) != known.get(p)}
        for viewer, seen in self._seen.items():
            self._seen[viewer] = {p: document for p, document in seen.items() if p not in changed}

    def _forget(self, followed: Followed) -> None:
        """Keep only documents that are followed and still current."""
        self._seen = {
            viewer: {p: seen[p] for p in followed[viewer] if p in seen}
            for viewer, seen in self._seen.items()
            if viewer in followed
        }
        self._waiting = {
            (viewer, p): shown
            for (viewer, p), shown in self._waiting.items()
            if p in self._seen.get(viewer, {})
        }

    def _read_documents(self, viewer: Viewer, post_ids: Collection[UUID]) -> dict[UUID, Document]:
        owners = self._read_owners(viewer, post_ids) if post_ids and viewer != PUBLIC else {}
        return {post_id: self._document(owners.get(post_id), post_id) for post_id in post_ids}

    def _document(self, owners: AssetOut | None, post_id: UUID) -> Document:
        if owners is not None:
            return Document("asset", owners.model_dump_json())
        card = self._cards.get(post_id)
        if card is not None and card.is_for_everybody:
            return Document("asset", card_out(card, self._urls).model_dump_json())
        return Document("gone", GoneOut(post_id=post_id).model_dump_json())

    def _read_owners(self, viewer: Viewer, post_ids: Collection[UUID]) -> dict[UUID, AssetOut]:
        with self._session(viewer) as session:
            assets = queries.assets_of_posts(session, list(post_ids))
            waiting = [asset.id for asset in assets if asset.status in WAITING]
            places = queue_places(session, waiting) if waiting else {}
        shown = {
            asset.post_id: asset_out(
                asset, self._urls, place=places.get(asset.id), key_id=viewer.key_id
            )
            for asset in assets
        }
        self._waiting |= {(viewer, p): out for p, out in shown.items() if out.status in WAITING}
        return shown

    @contextmanager
    def _session(self, viewer: Viewer) -> Iterator[Session]:
        if viewer.owner_id is not None:
            with user_session(self._engines.api, viewer.owner_id) as session:
                yield session
        else:
            with session_of(self._engines.operator) as session:
                yield session

    def _read_turns(self) -> None:
        if not self._waiting or self._clock() - self._turns_read_at < TURNS_EVERY_SEC:
            return
        with session_of(self._engines.api) as session:
            places = queue_places(session, [shown.id for shown in self._waiting.values()])
        self._turns_read_at = self._clock()
        for (viewer, post_id), shown in self._waiting.items():
            placed = shown.model_copy(update=dict(queue_position_out(places.get(shown.id))))
            # A drifting estimate alone is no reason to send the document.
            if placed.queue_position != shown.queue_position:
                self._waiting[viewer, post_id] = placed
                self._seen[viewer][post_id] = self._document(placed, post_id)
