"""The posts of the site, in one small file."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter

USERS = {"demo-ana": "Ana", "demo-giorgi": "Giorgi"}
"""The users, by the owner id that the API knows them by. A visitor is the first one at first."""

MOST_POSTS = 200
"""A demonstration is read in a minute. Beyond this number the oldest posts are removed."""

Kind = Literal["text", "image", "legacy", "video"]


class Post(BaseModel):
    """A post.

    Attributes:
        author: A key of ``USERS``.
        kind: A ``legacy`` post is from before the pipeline: it has the address of a video, and no
            asset.
        is_sample: True if its video is the sample clip, which its author's page registers.
        width: The width of the video by its author's browser; None if it could not measure.
        height: The height, likewise.
    """

    model_config = ConfigDict(frozen=True)

    id: UUID
    author: str
    kind: Kind
    text: str
    created_at: AwareDatetime
    is_sample: bool = False
    width: int | None = None
    height: int | None = None


POST_LIST = TypeAdapter(list[Post])


class Posts:
    """The file of posts; any number of processes may use it at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def newest_first(self) -> list[Post]:
        """Return every post; the very first call makes the example posts."""
        with self._locked():
            posts = self._read()
        return sorted(posts, key=lambda post: post.created_at, reverse=True)

    def find(self, post_id: UUID) -> Post | None:
        """Return a post; None if there is none."""
        return next((post for post in self.newest_first() if post.id == post_id), None)

    def put(self, post: Post) -> bool:
        """Keep a post, in place of an earlier one of its author with the same id.

        Returns:
            False, and nothing is kept, if the post with that id has another author.
        """
        with self._locked():
            posts = self._read()
            if any(each.id == post.id and each.author != post.author for each in posts):
                return False
            self._write([each for each in posts if each.id != post.id] + [post])
        return True

    def remove(self, post_id: UUID, author: str) -> None:
        """Remove a post of an author, if there is one."""
        with self._locked():
            posts = self._read()
            self._write([each for each in posts if (each.id, each.author) != (post_id, author)])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> list[Post]:
        try:
            return POST_LIST.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            posts = _examples(datetime.now(UTC))
            self._write(posts)
            return posts

    def _write(self, posts: list[Post]) -> None:
        kept = sorted(posts, key=lambda post: post.created_at)[-MOST_POSTS:]
        whole = self._path.with_suffix(".new")
        whole.write_text(json.dumps(POST_LIST.dump_python(kept, mode="json"), indent=2))
        os.replace(whole, self._path)  # noqa: PTH105 - atomic, and both are in one folder


def _examples(now: datetime) -> list[Post]:
    """Return one post of each kind."""
    first, second = USERS
    return [
        Post(id=uuid4(), author=author, kind=kind, created_at=now, **more)
        for author, kind, more in (
            (second, "legacy", {"text": "From before the pipeline: a file by its address."}),
            (second, "image", {"text": "The hills above Kazbegi this morning."}),
            (first, "text", {"text": "Words alone. This post knows nothing of videos."}),
            (first, "video", {"text": "A rabbit wakes up.", "is_sample": True}),
        )
    ]
