"""Every run of ffmpeg in one encode: confined, watched, and on a disk with room."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.media.probe import SourceInfo
from transcoder.encode.encode_limits import encode_confinement
from transcoder.encode.ffmpeg_failures import (
    disk_full_failure,
    disk_is_full,
    failure_of,
    repeated_failure,
)
from transcoder.encode.ffmpeg_process import FfmpegResult, run_watched
from transcoder.encode.ffmpeg_progress import FfmpegProgress


def ignore_progress(_: FfmpegProgress) -> None:
    """Short runs have no progress worth reporting; its arrival is what shows they live."""


@dataclass(frozen=True)
class FfmpegRunner:
    """What all runs of one encode have in common.

    Attributes:
        info: What the probe found in the source; bounds what a run may take.
        workdir: Folder of the encode, on the disk that may fill up.
        cancelled: Asked about twice a second.
        stall_sec: How long ffmpeg may produce nothing new.
    """

    info: SourceInfo
    workdir: Path
    cancelled: Callable[[], bool]
    stall_sec: float

    def run(
        self,
        command: Sequence[str],
        on_progress: Callable[[FfmpegProgress], None] = ignore_progress,
        *,
        patience_sec: float = 0,
    ) -> FfmpegResult:
        """Run once, to whatever end.

        Args:
            command: An ffmpeg that writes `-progress pipe:1`.
            on_progress: Called for each report.
            patience_sec: How much longer than others this run may produce nothing new.

        Raises:
            EncodeCancelled: `cancelled` said so.
            EncodeFailed: `stalled`, `insufficient_space`.
        """
        return run_watched(
            command,
            encode_confinement(self.info),
            on_progress=on_progress,
            cancelled=self._stop,
            stall_sec=self.stall_sec + patience_sec,
        )

    def run_to_success(
        self,
        command: Sequence[str],
        on_progress: Callable[[FfmpegProgress], None] = ignore_progress,
    ) -> None:
        """Run to success; a failure that repeats word for word is the source's or ours for good.

        Raises:
            EncodeCancelled: `cancelled` said so.
            EncodeFailed: With the code that explains it.
        """
        failure = failure_of(self.run(command, on_progress))
        if failure is None:
            return
        if not failure.signature:
            raise failure
        again = failure_of(self.run(command, on_progress))
        if again is None:
            return
        raise repeated_failure(again) if again.signature == failure.signature else again

    def _stop(self) -> bool:
        # ffmpeg's HLS muxer says nothing of a full disk and exits with 0, hours later.
        if disk_is_full(self.workdir):
            raise disk_full_failure()
        return self.cancelled()
