"""Run ffmpeg so that it cannot outlive us, hang for ever or fill our memory.

The process leads a group of its own, which is killed as a whole on cancel, on a stall and on any
error of ours; the kernel kills it when we die without the chance (`kill -9`, out of memory).
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Self

from pipeline.media.child import ended_within
from pipeline.media.confinement import Confinement, bare_environment, confined
from transcoder.encode.encode_errors import EncodeCancelled, EncodeFailed
from transcoder.encode.ffmpeg_progress import FfmpegProgress, ProgressParser

TICK_SEC = 0.5
_STDERR_KEPT_BYTES = 16_384
_READ_BYTES = 65_536


@dataclass(frozen=True)
class FfmpegResult:
    """How a process ended: its exit status, negative for a signal, and the end of its stderr."""

    returncode: int
    stderr: str
    out_time_sec: float


def run_watched(
    command: Sequence[str],
    confinement: Confinement,
    *,
    on_progress: Callable[[FfmpegProgress], None],
    cancelled: Callable[[], bool],
    stall_sec: float,
    clock: Callable[[], float] = time.monotonic,
) -> FfmpegResult:
    """Run an ffmpeg that writes `-progress pipe:1`, to its end.

    Args:
        command: The program and its arguments.
        confinement: What it may take.
        on_progress: Called for each report.
        cancelled: Asked at every tick, about twice a second.
        stall_sec: How long the output may stop growing. A bound on silence, not on work: a long
            film may take as long as it takes.
        clock: Monotonic seconds.

    Raises:
        EncodeCancelled: `cancelled` said so.
        EncodeFailed: `stalled`.
    """
    parser = ProgressParser()
    reached, moved_at = 0.0, clock()
    with ProcessGroup(command, confinement) as group:
        for chunk in group.output():
            for report in parser.feed(chunk):
                on_progress(report)
                if report.out_time_sec > reached or report.ended:
                    reached, moved_at = report.out_time_sec, clock()
            if cancelled():
                raise EncodeCancelled
            if clock() - moved_at > stall_sec:
                detail = f"The encoder produced nothing new for {stall_sec:g} s."
                raise EncodeFailed("stalled", detail, retryable=True)
        return FfmpegResult(group.returncode, group.stderr, reached)


class ProcessGroup:
    """A child process that leads its own group; leaving the block kills what is left of it."""

    def __init__(self, command: Sequence[str], confinement: Confinement) -> None:
        self._process = subprocess.Popen(
            confined(command, confinement),
            env=bare_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        if self._process.stdout is None or self._process.stderr is None:
            raise AssertionError("both pipes were asked for")
        self._stdout: IO[bytes] = self._process.stdout
        self._stderr: IO[bytes] = self._process.stderr
        self._complaints = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def stderr(self) -> str:
        """The last few kilobytes the process complained about."""
        return self._complaints.decode("utf-8", "replace")

    def output(self) -> Iterator[bytes]:
        """Yield chunks of standard output, an empty one at every quiet tick, until the end.

        One thread reads both pipes: a child blocked on a full stderr would never finish. Closing
        them is not the end yet: whoever does and stays is waited for tick by tick, too.
        """
        with selectors.DefaultSelector() as selector:
            for pipe in (self._stdout, self._stderr):
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                ready = [key.fileobj for key, _ in selector.select(TICK_SEC)]
                yield b"".join(self._read(pipe, selector) for pipe in ready)
        while not ended_within(self._process, TICK_SEC):
            yield b""

    def _read(self, pipe: Any, selector: selectors.BaseSelector) -> bytes:
        chunk = os.read(pipe.fileno(), _READ_BYTES)
        if not chunk:
            selector.unregister(pipe)
        if pipe is self._stdout:
            return chunk
        self._complaints = (self._complaints + chunk)[-_STDERR_KEPT_BYTES:]
        return b""

    @property
    def returncode(self) -> int:
        """The exit status, once the output has come to its end; negative for a signal."""
        return self._process.returncode

    def kill(self) -> None:
        """Kill every process of the group and reap the leader; nothing when it was reaped."""
        if self._process.returncode is None:  # else its number may belong to somebody else by now
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._stdout.close()
        self._stderr.close()
