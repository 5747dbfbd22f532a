"""The site's table of posts, for a site that shares our database. The pipeline only reads it."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import (
    RowMapping,
    Select,
    Text,
    Uuid,
    cast,
    column,
    exists,
    func,
    select,
    table,
    text,
)
from sqlalchemy.orm import Session

from pipeline.domain.errors import Unprocessable


@dataclass(frozen=True)
class Posts:
    """The table of posts, with ``id`` (uuid), ``media_kind``, ``video_url`` and an owner.

    Attributes:
        name: The table, as ``schema.table`` if it is not on the search path.
        owner_column: The column with the id of the post's owner.
    """

    name: str
    owner_column: str = "owner_id"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return ("id", "media_kind", "video_url", self.owner_column)

    @property
    def schema(self) -> str | None:
        """The schema; None if the name has none."""
        return self.name.rpartition(".")[0] or None

    @property
    def table(self) -> str:
        """The name without the schema."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class Post:
    """A post with a video."""

    id: UUID
    owner_id: str | None
    video_url: str


# A role may read the catalogue entry of a table without a right to read the table.
_DESCRIBE = text("""
    SELECT current_user AS role, t.oid,
        coalesce(has_table_privilege(t.oid, 'SELECT'), false) AS readable,
        t.oid IS NOT NULL AND row_security_active(t.oid) AND NOT EXISTS (
            SELECT FROM pg_policy p WHERE p.polrelid = t.oid AND p.polcmd IN ('r', '*')
            AND EXISTS (SELECT FROM unnest(p.polroles) r
                        WHERE r = 0 OR pg_has_role(r, 'MEMBER'))) AS hidden,
        coalesce((SELECT jsonb_object_agg(attname, format_type(atttypid, NULL)) FROM pg_attribute
                  WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped), '{}') AS columns
    FROM (SELECT to_regclass(concat_ws('.', quote_ident(:schema), quote_ident(:table)))::oid
          AS oid) t
""")


def check_posts(session: Session, posts: Posts) -> None:
    """Check that this role can read the table as a table of posts.

    Raises:
        Unprocessable: ``posts_table_missing``, ``posts_table_closed`` (no right to read it, or
            row-level security without a policy), ``posts_table_unsuitable`` (columns).
    """
    parameters = {"schema": posts.schema, "table": posts.table}
    found = session.execute(_DESCRIBE, parameters).mappings().one()
    role = found["role"]
    if found["oid"] is None:
        raise Unprocessable("posts_table_missing", f"This database has no table {posts.name}.")
    if not found["readable"]:
        raise Unprocessable(
            "posts_table_closed",
            f"{role} may not read {posts.name}. Its owner can run: "
            f"GRANT SELECT ON {posts.name} TO {role}.",
        )
    if found["hidden"]:
        raise Unprocessable(
            "posts_table_closed",
            f"Row-level security hides every row of {posts.name} from {role}. Its owner can run: "
            f"CREATE POLICY {role}_reads ON {posts.name} FOR SELECT TO {role} USING (true).",
        )
    _check_columns(posts, found)


def _check_columns(posts: Posts, found: RowMapping) -> None:
    types = found["columns"]
    missing = [name for name in posts.columns if name not in types]
    if missing:
        raise Unprocessable(
            "posts_table_unsuitable", f"{posts.name} has no column {', '.join(missing)}."
        )
    if types["id"] != "uuid":
        raise Unprocessable(
            "posts_table_unsuitable", f"{posts.name}.id is {types['id']}; it must be a uuid."
        )


def owns_post(session: Session, posts: Posts, post_id: UUID, owner_id: str) -> bool:
    """Return true if the post exists and belongs to this owner.

    One statement serves both answers, so its duration does not reveal a post of another owner.
    """
    owner = cast(column(posts.owner_column), Text)
    of_posts = table(posts.table, schema=posts.schema)
    found = exists().select_from(of_posts).where(column("id", Uuid) == post_id, owner == owner_id)
    return bool(session.scalar(select(found)))


def count_videos(session: Session, posts: Posts) -> int:
    """Return the number of posts with a video."""
    return session.scalar(select(func.count()).select_from(_videos(posts).subquery())) or 0


def read_videos(session: Session, posts: Posts, *, after: UUID | None, size: int) -> list[Post]:
    """Return the next posts with a video, in the order of their ids."""
    page = _videos(posts).order_by(column("id")).limit(size)
    if after is not None:
        page = page.where(column("id", Uuid) > after)
    return [Post(*row) for row in session.execute(page)]


def _videos(posts: Posts) -> Select[UUID, str, str]:
    """Return the query for posts with a video; owner and address as text, whatever their type."""
    of_posts = table(posts.table, schema=posts.schema)
    owner = cast(column(posts.owner_column), Text)
    return (
        select(column("id", Uuid), owner, cast(column("video_url"), Text))
        .select_from(of_posts)
        .where(cast(column("media_kind"), Text) == "video", column("video_url").is_not(None))
    )
