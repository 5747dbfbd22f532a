"""Who may have a post's video: a stranger must not take the place before its owner does."""

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
    """Let this owner have the video of this post, or refuse before anything is written.

    The site's own table of posts decides, where there is one; elsewhere the claim of the caller's
    token, where one is required. An operator's word needs no claim, and is held to the table.

    Args:
        claimed: The posts that the token names; None where an operator speaks for the owner.

    Raises:
        NotFound: ``post_not_found``: there is no such post, or it is somebody else's; which of
            the two can be told neither from the answer nor from what was asked of the database.
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
