"""Where a story takes place: a running stack with a tap before it, and a shelf of sources."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from cli.client import ApiClient
from pipeline.media.tools import Tools, locate_tools
from tests.acceptance.books import Books
from tests.acceptance.exchanges import Exchange, send
from tests.acceptance.sources import Sources, open_sources
from tests.acceptance.tap import WEBHOOK, Tap
from tests.running import RunningStack

OWNER = "ana"
STRANGER = "boris"
PROVIDER = "selfhosted"
PATIENCE_SEC = 240.0
LOOK_EVERY_SEC = 0.1
ENDED = frozenset({"completed", "failed"})

QUICKER = {
    "KHRONIKA_SWEEP_EVERY_SEC": "1",
    "KHRONIKA_BACKOFF_BASE_SEC": "1",
    "KHRONIKA_CALLBACK_UNKNOWN_SEC": "3",
    "KHRONIKA_MAX_ATTEMPTS": "3",
    # A source that a story holds back trickles for as long as the story takes.
    "KHRONIKA_TRANSCODER_SOURCE_MIN_BPS": "0",
    # A burst of small jobs in the tests; each encode alone leaves a core idle half the time.
    "KHRONIKA_TRANSCODER_CONCURRENCY": "2",
}
"""Waits that a story should not have to sit through; nothing else differs from `make up`."""


class TookTooLong(Exception):
    """What a story waits for did not come; the message says how far it got."""


@dataclass(frozen=True)
class Video:
    """A registered video, by the names that lead to it."""

    post_id: UUID
    asset_id: UUID
    owner: str = OWNER


@dataclass(frozen=True)
class Stage:
    """Everything a story works with.

    Attributes:
        folder: For clips and what is downloaded.
        provider: The account that processes.
    """

    stack: RunningStack
    tap: Tap
    sources: Sources
    books: Books
    tools: Tools
    folder: Path
    provider: str = PROVIDER

    @contextmanager
    def client(self, owner: str = OWNER) -> Iterator[ApiClient]:
        """The API as this owner's program sees it."""
        with ApiClient(self.stack.base_url, self.stack.token(owner)) as client:
            yield client

    def ask(
        self, method: str, path: str, *, as_: str | None = OWNER, json_body: bytes = b""
    ) -> Exchange:
        """Call the API and keep the exchange to show it; ``as_`` None asks without a token."""
        headers = {"Authorization": f"Bearer {self.stack.token(as_)}"} if as_ else {}
        if json_body:
            headers["Content-Type"] = "application/json"
        return send(method, f"{self.stack.base_url}{path}", headers=headers, body=json_body)

    def call_back(self, headers: Mapping[str, str], body: bytes) -> Exchange:
        """Send the API a callback, as whoever knows its address can."""
        url = f"{self.stack.base_url}{WEBHOOK}/{self.provider}"
        return send("POST", url, headers={"Content-Type": "application/json", **headers}, body=body)

    def upload(self, clip: Path, *, title: str) -> Video:
        """Send a file and register it."""
        post_id = uuid4()
        with self.client() as client:
            upload_id = client.upload(post_id, clip)
            return _video(client.create(post_id, upload_id=upload_id, title=title))

    def register(self, url: str, *, title: str) -> Video:
        """Register a video that lies elsewhere."""
        with self.client() as client:
            return _video(client.create(uuid4(), source_url=url, title=title))

    def asset(self, video: Video) -> dict[str, Any]:
        """The asset as its owner sees it now."""
        with self.client(video.owner) as client:
            return client.asset(video.post_id)

    def events(self, video: Video) -> list[dict[str, Any]]:
        """The chronicle as its owner sees it."""
        with self.client(video.owner) as client:
            return list(client.events(video.post_id))

    def await_end(self, video: Video) -> dict[str, Any]:
        """The asset once it is completed or failed.

        Raises:
            TookTooLong: it is neither.
        """
        return self.await_asset(video, lambda asset: asset["status"] in ENDED)

    def await_attempt(self, video: Video, number: int) -> dict[str, Any]:
        """The asset once the provider has accepted this attempt."""
        return self.await_asset(
            video, lambda asset: asset["attempt"] == number and bool(asset["provider_job_id"])
        )

    def await_asset(self, video: Video, is_so: Any) -> dict[str, Any]:
        """The asset once ``is_so`` of it."""
        deadline = time.monotonic() + PATIENCE_SEC
        while not is_so(asset := self.asset(video)):
            if time.monotonic() > deadline:
                raise TookTooLong(
                    f"after {PATIENCE_SEC:.0f} s asset {asset['id']} is {asset['status']}, attempt "
                    f"{asset['attempt']}, {asset['progress']} percent"
                )
            time.sleep(LOOK_EVERY_SEC)
        return asset


def _video(asset: Mapping[str, Any]) -> Video:
    return Video(UUID(asset["post_id"]), UUID(asset["id"]), asset["owner_id"])


def settings_for(
    tap: Tap, *, provider: str = PROVIDER, public_url: str | None = None
) -> dict[str, str]:
    """What the stack is told, so that callbacks pass the tap.

    Args:
        provider: The account that new videos go to.
        public_url: Where the tap is reached from outside, for a provider that is not on this
            machine; media then has that address too.
    """
    public = {"KHRONIKA_PUBLIC_URL": public_url} if public_url else {}
    return {
        **QUICKER,
        **public,
        "KHRONIKA_ACCOUNTS": provider,
        "KHRONIKA_TRANSCODER_CALLBACK_URL": f"{public_url or tap.url}{WEBHOOK}/{provider}",
    }


@contextmanager
def open_stage(
    stack: RunningStack, tap: Tap, folder: Path, *, provider: str = PROVIDER
) -> Iterator[Stage]:
    """Put the tap before a stack that was started with `settings_for` it."""
    tap.upstream = stack.base_url
    with open_sources() as sources:
        yield Stage(
            stack=stack,
            tap=tap,
            sources=sources,
            books=Books(stack.environment["KHRONIKA_OPERATOR_DATABASE_URL"]),
            tools=locate_tools(environ),
            folder=folder,
            provider=provider,
        )
