"""The vendors of a running stack, each a fake: one gets the jobs, and they go on as told."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.domain.values import Phase
from pipeline.records import account_states
from pipeline.runtime.database import make_engine, session_of
from pipeline.storage.open import open_storage
from tests.vendors.accounts import fakes
from tests.vendors.fake import FakeCallback, FakeVendor, serving

OURS = "selfhosted"
VENDORS = tuple(sorted(fakes().keys() - {OURS}))
"""The adapters of vendors, which are the names of their accounts too."""


@dataclass(frozen=True)
class DirectedVendors:
    """One account at the fake of each vendor, beside that of our own transcoder."""

    fakes: Mapping[str, FakeVendor]

    @property
    def variables(self) -> dict[str, str]:
        """The settings of the accounts, for a stack."""
        accounts = {"KHRONIKA_ACCOUNTS": ",".join((*self.fakes, OURS))}
        for name, fake in self.fakes.items():
            accounts |= fake.environment(name)
        return accounts

    def choose(self, environment: Mapping[str, str], *names: str) -> None:
        """Let these accounts alone get new jobs, as an operator would."""
        engine = make_engine(environment["KHRONIKA_OPERATOR_DATABASE_URL"], pool_size=1)
        with session_of(engine) as session:
            for name in (*self.fakes, OURS):
                state = "enabled" if name in names else "drain"
                account_states.set_state(session, name, state)
        engine.dispose()

    def move(
        self, environment: Mapping[str, str], name: str, job_id: str, phase: Phase
    ) -> list[FakeCallback]:
        """Bring a job into a phase, with its files, and return the vendor's callbacks about it."""
        fake = self.fakes[name]
        fake.move(job_id, phase)
        if phase is Phase.COMPLETED:
            storage = open_storage(environment["STORAGE_URL"])
            for key, path in fake.stored(job_id).items():
                storage.write(key, [path.read_bytes()])
        return fake.callbacks_for(job_id, phase)


@contextmanager
def directed_vendors(
    outputs: Path, duration_sec: float, names: Sequence[str] = VENDORS
) -> Iterator[DirectedVendors]:
    """Serve a fake of each vendor, whose jobs have these outputs of this duration."""
    directed = DirectedVendors({name: fakes()[name](outputs) for name in names})
    for fake in directed.fakes.values():
        fake.duration_sec = duration_sec
    with serving(*directed.fakes.values()):
        yield directed
