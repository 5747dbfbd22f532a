"""The stage of the vendors' stories: a stack with an account at the fake of each vendor."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import environ, geteuid
from pathlib import Path
from typing import Any

from pipeline.domain.values import Phase
from pipeline.media.tools import locate_tools
from stack.demo import CLIP
from stack.home import Home
from tests.acceptance.exchanges import Exchange
from tests.acceptance.sources import Source
from tests.acceptance.stage import QUICKER, Stage, Video, open_stage
from tests.acceptance.tap import Tap
from tests.acceptance.telling import Telling
from tests.running import running_stack_process
from tests.vendors.directed import DirectedVendors, directed_vendors
from tests.vendors.fake import FakeCallback, FakeJob, FakeVendor
from tests.vendors.outputs import make_outputs

CLIP_SEC = 5.28
WAITS = {**QUICKER, "KHRONIKA_POLL_LEAST_SEC": "1"}
"""The shorter waits; a vendor whose callbacks do not tell everything is asked more often, too."""


@dataclass(frozen=True)
class VendorStage:
    """A stack, and the vendor that gets its jobs.

    Attributes:
        name: Name of the account, which is that of its adapter.
    """

    stage: Stage
    vendors: DirectedVendors
    name: str

    @property
    def fake(self) -> FakeVendor:
        """The vendor."""
        return self.vendors.fakes[self.name]

    def open(self, *others: str) -> None:
        """Let this account, and these, get new jobs."""
        self.vendors.choose(self.stage.stack.environment, self.name, *others)

    def register(self, title: str) -> tuple[Video, Source]:
        """Register a video that lies elsewhere."""
        source = self.stage.sources.offer(CLIP)
        return self.stage.register(source.url, title=title), source

    def await_job(self, video: Video, number: int = 1) -> FakeJob:
        """The vendor's job of an attempt."""
        self.stage.await_attempt(video, number)
        attempt = self.stage.books.attempts(video.asset_id)[number - 1]
        return self.fake.job_of(attempt.id)

    def move(self, job: FakeJob, phase: Phase) -> list[Exchange]:
        """Bring a job into a phase, and send what the vendor tells of it."""
        environment = self.stage.stack.environment
        sent = self.vendors.move(environment, self.name, job.job_id, phase)
        return [self.send(each) for each in sent]

    def send(self, callback: FakeCallback) -> Exchange:
        """Send the API a callback, as the vendor does."""
        return self.stage.call_back(callback.headers, callback.body)

    def asset(self, video: Video) -> dict[str, Any]:
        """The asset as its owner sees it now."""
        return self.stage.asset(video)


@dataclass(frozen=True)
class VendorStory:
    """A page about one vendor, as ``Story`` is one about our own transcoder."""

    name: str
    title: str
    proves: str
    tell: Callable[[VendorStage, Telling], None]


@contextmanager
def open_vendor_stages(
    root: Path, names: Sequence[str], waits: Mapping[str, str] = WAITS
) -> Iterator[dict[str, VendorStage]]:
    """Run one stack in a folder of its own, with a stage for each of these vendors."""
    outputs = make_outputs(root / "outputs", CLIP, locate_tools(environ))
    with directed_vendors(outputs, CLIP_SEC, names) as vendors:
        settings = {**waits, **vendors.variables}
        with (
            running_stack_process(Home(root / "stack"), settings) as stack,
            open_stage(stack, Tap(), root) as stage,
        ):
            yield {
                name: VendorStage(replace(stage, provider=name), vendors, name) for name in names
            }


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for a stack, gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="khronika-evidence-"))
    if geteuid() == 0:
        root.chmod(0o711)  # the Postgres server runs as somebody else
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)
