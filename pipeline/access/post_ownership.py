"""Ownership of posts: a stranger must not register a video for a post before its owner does."""

from collections.abc import Set as AbstractSet
from uuid import UUID

from sqlalchemy.orm import Session

from pipeline.config.web_settings import PostSettings
from pipeline.domain.errors import Forbidden, NotFound
from pipeline.domain.values import PostClaim
from pipeline.records.site_posts import Posts, owns_post


def require_post(
    session: Session,
    post_id: UUID,
    owner_id: str,
    *,
    rules: PostSettings,
    claimed: AbstractSet[UUID] | None,
) -> None:
    """Refuse an owner that may not have the video of this post, before anything is written.

    If the site's own table of posts is configured, it decides. Otherwise the claim of the caller's
    token decides, if one is required. An operator needs no claim but must agree with the table.

    Args:
        claimed: The posts that the token names; None if an operator acts for the owner.

    Raises:
        NotFound: ``post_not_found``: the post does not exist or belongs to another owner. Neither
            the answer nor the statement to the database reveals which of the two.
        Forbidden: ``post_not_claimed``.
    """
    if rules.posts_table is not None:
        posts = Posts(rules.posts_table, rules.posts_owner_column)
        if not owns_post(session, posts, post_id, owner_id):
            raise NotFound("post_not_found")
        return
    if rules.post_claim is PostClaim.OFF or claimed is None:
        return
    if post_id not in claimed:
        raise Forbidden("post_not_claimed", "The token does not name this post in post_id.")
