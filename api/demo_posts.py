"""The posts of the demonstration site: one small file, apart from the product's own schema."""

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
"""Whom a visitor may be, by the owner that the API knows; without a cookie the first."""

MOST_POSTS = 200
"""The oldest go first: what a demonstration shows is read in a minute."""

Kind = Literal["text", "image", "legacy", "video"]


class DemoPost(BaseModel):
    """A post.

    Attributes:
        kind: ``legacy`` is from before the pipeline: it has the address of a video, and no asset.
        is_sample: Whether its video is the sample clip, which its author's page registers.
        width: Of the video as its author's browser measured it; None where it could not.
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


POSTS = TypeAdapter(list[DemoPost])


class DemoPosts:
    """The file, for all processes of the API at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def newest_first(self) -> list[DemoPost]:
        """Every post. The first call of all puts the examples there."""
        with self._locked():
            posts = self._read()
        return sorted(posts, key=lambda post: post.created_at, reverse=True)

    def find(self, post_id: UUID) -> DemoPost | None:
        """A post; None where there is none."""
        return next((post for post in self.newest_first() if post.id == post_id), None)

    def put(self, post: DemoPost) -> bool:
        """Keep a post, in place of its author's earlier one of that id. False: it is another's."""
        with self._locked():
            posts = self._read()
            if any(each.id == post.id and each.author != post.author for each in posts):
                return False
            self._write([each for each in posts if each.id != post.id] + [post])
        return True

    def remove(self, post_id: UUID, author: str) -> None:
        """Remove an author's post, if there is one."""
        with self._locked():
            posts = self._read()
            self._write([each for each in posts if (each.id, each.author) != (post_id, author)])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> list[DemoPost]:
        try:
            return POSTS.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            posts = _examples(datetime.now(UTC))
            self._write(posts)
            return posts

    def _write(self, posts: list[DemoPost]) -> None:
        kept = sorted(posts, key=lambda post: post.created_at)[-MOST_POSTS:]
        whole = self._path.with_suffix(".new")
        whole.write_text(json.dumps(POSTS.dump_python(kept, mode="json"), indent=2))
        os.replace(whole, self._path)  # noqa: PTH105 - atomic, and both are in one folder


def _examples(now: datetime) -> list[DemoPost]:
    """One post of each kind."""
    first, second = USERS
    return [
        DemoPost(id=uuid4(), author=author, kind=kind, created_at=now, **more)
        for author, kind, more in (
            (second, "legacy", {"text": "From before the pipeline: a file by its address."}),
            (second, "image", {"text": "The hills above Kazbegi this morning."}),
            (first, "text", {"text": "Words alone. This post knows nothing of videos."}),
            (first, "video", {"text": "A rabbit wakes up.", "is_sample": True}),
        )
    ]
