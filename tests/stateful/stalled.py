"""A worker that stops between two effects and goes on when the world has moved.

As SIGSTOP would leave it past its lease and SIGCONT resume it: nothing of the product is changed,
its thread simply waits at a boundary.
"""

import threading
from collections.abc import Callable

from tests.crashing.boundary import Boundary
from tests.crashing.harness import observed

PATIENCE_SEC = 60.0


class StalledWorker:
    """Runs a deed in a thread up to a boundary. ``stalled`` is False if it never came there."""

    def __init__(self, deed: Callable[[], object], boundary: Boundary) -> None:
        self._deed = deed
        self._boundary = boundary
        self._at_rest = threading.Event()
        self._go_on = threading.Event()
        self._failure: BaseException | None = None
        self.stalled = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._at_rest.wait(PATIENCE_SEC)
        if not self.stalled:
            self.resume()

    def resume(self) -> None:
        """Let it run to its end; raises what it raised."""
        self._go_on.set()
        self._thread.join(PATIENCE_SEC)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            with observed(self._stall):
                self._deed()
        except BaseException as error:  # noqa: BLE001 - handed on to whoever resumes
            self._failure = error
        finally:
            self._at_rest.set()

    def _stall(self, reached: Boundary) -> None:
        if reached is self._boundary and not self.stalled:
            self.stalled = True
            self._at_rest.set()
            self._go_on.wait(PATIENCE_SEC)
