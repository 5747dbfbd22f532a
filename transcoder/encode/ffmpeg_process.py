"""Child process of ffmpeg or ffprobe that cannot outlive us, hang or fill our memory.

The process leads a process group of its own, which is killed as a whole on a cancel, a stall and
any error of ours. The kernel kills the process if we are killed (`kill -9`, out of memory).
"""

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Self

from pipeline.media.child_process import ended_within, start_child
from pipeline.media.confinement import Confinement, Reach
from transcoder.encode.encode_errors import EncodeCancelled, EncodeFailed
from transcoder.encode.ffmpeg_progress import FfmpegProgress, ProgressParser

TICK_SEC = 0.5
_STDERR_KEPT_BYTES = 16_384
_READ_BYTES = 65_536


@dataclass(frozen=True)
class FfmpegResult:
    """Result of a finished ffmpeg; a negative `returncode` is a signal, `stderr` only its end."""

    returncode: int
    stderr: str
    out_time_sec: float


def run_watched(
    command: Sequence[str],
    confinement: Confinement,
    reach: Reach,
    *,
    on_progress: Callable[[FfmpegProgress], None],
    cancelled: Callable[[], bool],
    stall_sec: float,
    clock: Callable[[], float] = time.monotonic,
) -> FfmpegResult:
    """Run an ffmpeg that writes `-progress pipe:1`, to its end.

    Args:
        command: The program and its arguments.
        confinement: Limits of the process.
        reach: Files that the process may use.
        on_progress: Called for each report.
        cancelled: Called at every tick, about twice a second; True stops the run.
        stall_sec: Seconds that the output may stop growing; the whole run has no bound.
        clock: Monotonic seconds.

    Raises:
        EncodeCancelled: `cancelled` returned True.
        EncodeFailed: `stalled`.
    """
    parser, reached = ProgressParser(), 0.0

    def has_advanced(chunk: bytes) -> bool:
        nonlocal reached
        before, ended = reached, False
        for report in parser.feed(chunk):
            on_progress(report)
            reached, ended = max(reached, report.out_time_sec), report.ended
        return ended or reached > before

    returncode, stderr = watch_process(
        command,
        confinement,
        reach,
        has_advanced,
        cancelled=cancelled,
        stall_sec=stall_sec,
        stalled="The encoder produced nothing new",
        clock=clock,
    )
    return FfmpegResult(returncode, stderr, reached)


def watch_process(
    command: Sequence[str],
    confinement: Confinement,
    reach: Reach,
    has_advanced: Callable[[bytes], bool],
    *,
    cancelled: Callable[[], bool],
    stall_sec: float,
    stalled: str,
    clock: Callable[[], float],
) -> tuple[int, str]:
    """Run a process to its end; return its exit status and the end of its stderr.

    Args:
        command: The program and its arguments.
        confinement: Limits of the process.
        reach: Files that the process may use.
        has_advanced: Takes each chunk of standard output; False counts towards a stall.
        cancelled: Called at every tick, about twice a second; True stops the run.
        stall_sec: Seconds without an advance that count as a stall.
        stalled: Beginning of the sentence that reports the stall.
        clock: Monotonic seconds.

    Raises:
        EncodeCancelled: `cancelled` returned True.
        EncodeFailed: `stalled`.
    """
    advanced_at = clock()
    with ProcessGroup(command, confinement, reach) as group:
        for chunk in group.output():
            if has_advanced(chunk):
                advanced_at = clock()
            if cancelled():
                raise EncodeCancelled
            if clock() - advanced_at > stall_sec:
                raise EncodeFailed("stalled", f"{stalled} for {stall_sec:g} s.", retryable=True)
        return group.returncode, group.stderr


class ProcessGroup:
    """Child process that leads its own group; the end of the block kills the whole group."""

    def __init__(self, command: Sequence[str], confinement: Confinement, reach: Reach) -> None:
        self._process = start_child(command, confinement, reach)
        if self._process.stdout is None or self._process.stderr is None:
            raise AssertionError("Popen made no pipes")
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
        """Last kilobytes of standard error."""
        return self._complaints.decode("utf-8", "replace")

    def output(self) -> Iterator[bytes]:
        """Yield chunks of standard output until the process ends; an empty chunk is a silent tick.

        One thread reads both pipes, since a child blocked on a full stderr would never finish. A
        process may close its pipes and run on, so the ticks continue until its exit.
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
        """Exit status, known once `output` has ended; negative for a signal."""
        return self._process.returncode

    def kill(self) -> None:
        """Kill every process of the group and reap the leader, unless it was reaped before."""
        if self._process.returncode is None:  # a reaped leader's id may be another process's now
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._stdout.close()
        self._stderr.close()
