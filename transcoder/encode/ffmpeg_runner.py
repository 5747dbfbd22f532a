"""Runs of ffmpeg in one encode: confined, watched for stalls, and stopped by a full disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.media.confinement import Reach
from pipeline.media.probe import SourceInfo
from transcoder.encode.encode_limits import encode_confinement, outputs_bound_bytes
from transcoder.encode.ffmpeg_failures import (
    disk_full_failure,
    disk_is_full,
    failure_of,
    repeated_failure,
)
from transcoder.encode.ffmpeg_process import FfmpegResult, run_watched
from transcoder.encode.ffmpeg_progress import FfmpegProgress
from transcoder.encode.output_meter import OutputMeter


def ignore_progress(_: FfmpegProgress) -> None:
    """Drop a report of a short run; its arrival alone counts against a stall."""


@dataclass(frozen=True)
class FfmpegRunner:
    """Runner of all ffmpeg commands of one encode.

    Attributes:
        info: Result of the source's probe; decides the limits of a run.
        workdir: Folder of the encode, on the disk that may become full.
        cancelled: Called about twice a second; True stops a run.
        stall_sec: Seconds that ffmpeg may produce nothing new.
    """

    info: SourceInfo
    workdir: Path
    cancelled: Callable[[], bool]
    stall_sec: float

    def run(
        self,
        command: Sequence[str],
        reach: Reach,
        on_progress: Callable[[FfmpegProgress], None] = ignore_progress,
        *,
        patience_sec: float = 0,
    ) -> FfmpegResult:
        """Run once, and return the result of a success or a failure.

        Args:
            command: An ffmpeg that writes `-progress pipe:1`.
            reach: Files that it may use; its outputs are bounded together.
            on_progress: Called for each report.
            patience_sec: Seconds added to `stall_sec` for this run.

        Raises:
            EncodeCancelled: `cancelled` returned True.
            EncodeFailed: `stalled`, `insufficient_space`, or `encode_failed` for outputs over
                their bound.
        """
        outputs = reach.writes or self.workdir
        meter = OutputMeter(outputs, outputs_bound_bytes(self.info))

        def stop() -> bool:
            meter.check()
            return self._stop()

        return run_watched(
            command,
            encode_confinement(self.info),
            reach,
            on_progress=on_progress,
            cancelled=stop,
            stall_sec=self.stall_sec + patience_sec,
        )

    def run_to_success(
        self,
        command: Sequence[str],
        reach: Reach,
        on_progress: Callable[[FfmpegProgress], None] = ignore_progress,
    ) -> FfmpegResult:
        """Run once, and once more after a failure; the same failure twice is terminal.

        Raises:
            EncodeCancelled: `cancelled` returned True.
            EncodeFailed: Has the code of the failure.
        """
        done = self.run(command, reach, on_progress)
        failure = failure_of(done)
        if failure is None:
            return done
        if not failure.signature or not failure.retryable:
            raise failure
        done = self.run(command, reach, on_progress)
        again = failure_of(done)
        if again is None:
            return done
        raise repeated_failure(again) if again.signature == failure.signature else again

    def _stop(self) -> bool:
        # ffmpeg's HLS muxer does not report a full disk, and exits with 0 hours later.
        if disk_is_full(self.workdir):
            raise disk_full_failure()
        return self.cancelled()
