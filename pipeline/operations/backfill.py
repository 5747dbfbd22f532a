"""Registration of the videos of existing posts.

An asset that is registered but not enqueued is ``queued`` and held: ``next_attempt_at`` is null, so
that it is not due; ``hold_reason`` names the reason; its deadline lies beyond every clock, because
the wait for the enqueuing must not expire it. A later run with ``enqueue`` makes it due and starts
its deadline. The posts are only read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import and_, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pipeline.config.work_settings import NewVideoSettings, RetrySettings
from pipeline.domain.events import EventType
from pipeline.domain.hold_reasons import AWAITING_ENQUEUE
from pipeline.domain.states import Status
from pipeline.net.fetch import FetchPolicy, FetchRefused, check_url
from pipeline.records import store, transitions
from pipeline.records.models import Asset, Event
from pipeline.records.site_posts import Post, Posts, read_videos

_IS_HELD = and_(
    Asset.status == Status.QUEUED,
    Asset.next_attempt_at.is_(None),
    func.coalesce(Asset.hold_reason, "") == AWAITING_ENQUEUE,
).label("is_held")

LONGEST_OWNER = 128
"""Most characters of ``owner_id``."""


@dataclass(frozen=True)
class Page:
    """Result of one page of posts.

    Attributes:
        last: The id after which the next page begins; None for the last page.
        seen: Posts read.
        registered: Assets made.
        enqueued: Assets made due: new ones, and ones registered earlier.
        existing: Posts that already had an asset, in any state.
        invalid: The reason not to register a post (``owner_missing``, ``owner_too_long``,
            ``url_refused``), by the id of the post.
    """

    last: UUID | None
    seen: int
    registered: int
    enqueued: int
    existing: int
    invalid: Mapping[UUID, str]


@dataclass(frozen=True)
class _Plan:
    new: Sequence[Post]
    held: Sequence[UUID]
    existing: int
    invalid: Mapping[UUID, str]


def backfill_page(
    session: Session,
    posts: Posts,
    *,
    provider: str,
    new_videos: NewVideoSettings,
    retry: RetrySettings,
    policy: FetchPolicy,
    actor: str,
    after: UUID | None = None,
    size: int = 500,
    enqueue: bool = False,
    dry_run: bool = False,
) -> Page:
    """Register the next posts in the order of their ids; idempotent, and safe beside creates.

    No wake is needed: the sweep finds the due assets.

    Args:
        session: Session of the operator, because each post may have another owner.
        provider: The account that is preferred for new videos.
        policy: Rules for the addresses of videos; a refused address is not registered.
        actor: Actor of the events.
        after: Last id of the page before.
        size: Posts to read.
        enqueue: Make the assets due, also those registered earlier.
        dry_run: Write nothing; only count.
    """
    page = read_videos(session, posts, after=after, size=size)
    plan = _plan(page, _held_by_post(session, page), policy)
    if dry_run:
        registered, released = len(plan.new), len(plan.held)
    else:
        registered = _register(
            session,
            [_row(post, provider, new_videos, retry) for post in plan.new],
            retry,
            actor,
            enqueue=enqueue,
        )
        released = _release(session, plan.held, retry, actor) if enqueue else 0
    return Page(
        last=page[-1].id if len(page) == size else None,
        seen=len(page),
        registered=registered,
        enqueued=registered + released if enqueue else 0,
        # An asset that a create has made since our reading counts as existing.
        existing=plan.existing + len(plan.new) - registered,
        invalid=plan.invalid,
    )


def _held_by_post(session: Session, page: Sequence[Post]) -> dict[UUID, bool]:
    """Return the posts that have an asset; the value is True if the asset awaits its enqueuing."""
    query = select(Asset.post_id, _IS_HELD).where(
        Asset.post_id.in_([post.id for post in page]), Asset.deleted_at.is_(None)
    )
    return {row.post_id: bool(row.is_held) for row in session.execute(query)}


def _plan(page: Sequence[Post], held_by_post: Mapping[UUID, bool], policy: FetchPolicy) -> _Plan:
    faults = {post.id: _fault(post, policy) for post in page if post.id not in held_by_post}
    return _Plan(
        new=[post for post in page if post.id in faults and faults[post.id] is None],
        held=[post_id for post_id, held in held_by_post.items() if held],
        existing=len(held_by_post),
        invalid={post_id: fault for post_id, fault in faults.items() if fault},
    )


def _fault(post: Post, policy: FetchPolicy) -> str | None:
    """Return the reason not to register this post, if there is one."""
    if not post.owner_id:
        return "owner_missing"
    if len(post.owner_id) > LONGEST_OWNER:
        return "owner_too_long"
    try:
        check_url(post.video_url, policy)
    except FetchRefused as refused:
        return str(refused.code)
    return None


def _register(
    session: Session,
    rows: Sequence[dict[str, Any]],
    retry: RetrySettings,
    actor: str,
    *,
    enqueue: bool,
) -> int:
    """Insert the assets that do not exist yet, each with its first event."""
    if not rows:
        return 0
    timing = _timing(retry, enqueue=enqueue)
    made = session.scalars(
        insert(Asset)
        .values([{**row, **timing} for row in rows])
        .on_conflict_do_nothing()
        .returning(Asset)
    ).all()
    if made:
        session.execute(insert(Event).values([_created(asset, actor) for asset in made]))
    return len(made)


def _row(
    post: Post, provider: str, new_videos: NewVideoSettings, retry: RetrySettings
) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "post_id": post.id,
        "owner_id": post.owner_id,
        "source_url": post.video_url,
        "max_attempts": retry.max_attempts,
        "provider": provider,
        "playback": new_videos.playback.value,
        "last_seq": 1,
    }


def _timing(retry: RetrySettings, *, enqueue: bool) -> Mapping[str, Any]:
    if enqueue:
        return transitions.due_columns(retry.wait_deadline_sec)
    return transitions.awaiting_enqueue_columns()


def _created(asset: Asset, actor: str) -> dict[str, Any]:
    return {
        "asset_id": asset.id,
        "seq": asset.last_seq,
        "created_at": func.clock_timestamp(),
        "type": EventType.CREATED,
        "to_status": asset.status,
        "actor": actor,
        "generation": asset.generation,
        "provider": asset.provider,
        "detail": {"source": "backfill", "hold_reason": asset.hold_reason},
    }


def _release(session: Session, post_ids: Sequence[UUID], retry: RetrySettings, actor: str) -> int:
    """Make held assets due; skip assets that another run has just released."""
    query = select(Asset).where(Asset.post_id.in_(post_ids), Asset.deleted_at.is_(None), _IS_HELD)
    held = session.scalars(query.with_for_update()).all()
    for asset in held:
        change = transitions.enqueued(actor, deadline_sec=retry.wait_deadline_sec)
        store.advance(session, asset, change)
    return len(held)
