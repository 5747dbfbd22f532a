"""Parser of the reports that `ffmpeg -progress` prints."""

from dataclasses import dataclass

_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class FfmpegProgress:
    """Report of a running ffmpeg.

    Attributes:
        out_time_sec: Seconds of output that exist.
        ended: True for ffmpeg's last report.
    """

    out_time_sec: float
    ended: bool


class ProgressParser:
    """Parser of the progress pipe, in chunks cut anywhere.

    A report is a block of `key=value` lines closed by `progress=continue` or `progress=end`.
    Before the first frame `out_time_us` is `N/A`: such a block counts as zero.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._out_time_sec = 0.0

    def feed(self, chunk: bytes) -> list[FfmpegProgress]:
        """Take the next chunk and return the reports that it completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        reports = []
        for line in lines:
            key, _, value = line.decode("ascii", "replace").strip().partition("=")
            if key == "out_time_us":
                self._out_time_sec = _seconds(value) or self._out_time_sec
            elif key == "progress":
                reports.append(FfmpegProgress(self._out_time_sec, ended=value == "end"))
        return reports


def _seconds(value: str) -> float:
    try:
        return max(0, int(value)) / _MICROSECONDS
    except ValueError:
        return 0.0
