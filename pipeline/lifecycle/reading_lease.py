"""The lease of a claim while a source is read, which takes as long as its origin does.

The lease is renewed as bytes arrive, by the thread that reads them: a source that stalls, and a
worker that hangs, let it lapse. A renewal every few seconds would be a change of the video for all
that follow it, so that a third of the lease passes between two. Between them the row is only looked
at, and a video that was cancelled is read no further.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.content.source import SourceRefused
from pipeline.domain.errors import StaleTransition
from pipeline.lifecycle.claim import Claim
from pipeline.limits import owner_share
from pipeline.net.fetch import FetchCode
from pipeline.records import store, transitions
from pipeline.runtime.database import DATABASE_AWAY, session_of
from pipeline.services import Services

LOOK_EVERY_SEC = 2.0
"""A cancel is noticed after so many seconds."""
SLOW_SEC = 60.0
"""Time of a reading after which it takes one of the few places for slow sources."""

_log = logging.getLogger(__name__)


@dataclass
class ReadingLease:
    """The lease under which one source is read.

    The worker takes part in the claim's time with ``prolong``: each look that finds the lease held
    begins the limits of the task anew.
    """

    services: Services
    claim: Claim
    clock: Callable[[], float] = time.monotonic
    _looked_at: float = field(init=False)
    _renewed_at: float = field(init=False)
    _began_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._looked_at = self._renewed_at = self._began_at = self.clock()

    def note_bytes(self, _arrived: int) -> None:
        """Look at the row and renew the lease, if it is time for either.

        Raises:
            StaleTransition: The video was cancelled, given up or taken over.
            SourceRefused: ``source_timeout``: the source is slow, and so many others are.
        """
        now = self.clock()
        if now - self._looked_at < LOOK_EVERY_SEC:
            return
        self._looked_at = now
        try:
            self._look(now)
        except DATABASE_AWAY as error:
            # A restart of the database need not cost an hour of reading. If the lease lapses
            # meanwhile, the look after it finds another holder.
            _log.warning("database away, the reading goes on: %s", error)
        else:
            self.services.bounds.prolong()

    def _look(self, now: float) -> None:
        leases, asset = self.services.settings.leases, self.claim.asset
        with session_of(self.services.engine) as session:
            if now - self._renewed_at >= leases.lease_sec / 3:
                store.advance(session, asset, transitions.lease_renewed(leases.lease_sec))
                self._renewed_at = now
            elif not store.is_held(session, asset):
                raise StaleTransition
            if now - self._began_at >= SLOW_SEC:
                most = self.services.settings.sources.max_slow
                slower = owner_share.count_slower(session, self.claim.attempt, slow_sec=SLOW_SEC)
                if slower >= most:
                    raise _too_many(most)


def _too_many(most: int) -> SourceRefused:
    return SourceRefused(
        FetchCode.SOURCE_TIMEOUT,
        f"The server is slow, and {most} other slow sources are read already.",
        transient=True,
    )
