"""Encode of one source, from the local file to all outputs."""

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from pipeline.media.confinement import Reach
from pipeline.media.probe import SourceInfo
from pipeline.media.source_limits import Limits, check_limits
from pipeline.media.tools import Tools
from transcoder.encode.encode_command import encode_command
from transcoder.encode.encode_errors import EncodeFailed
from transcoder.encode.fallback import FALLBACK, fallback_rung, remux_command
from transcoder.encode.ffmpeg_arguments import PLAYLIST
from transcoder.encode.ffmpeg_failures import (
    disk_full_failure,
    disk_is_full,
    failure_of,
    undecoded_failure,
)
from transcoder.encode.ffmpeg_progress import FfmpegProgress
from transcoder.encode.ffmpeg_runner import FfmpegRunner
from transcoder.encode.frame_rates import output_rate
from transcoder.encode.joined_flv import hide_inner_headers
from transcoder.encode.ladder import DEFAULT_MAX_PROFILE, Rung, ladder
from transcoder.encode.master_playlist import MASTER, master_playlist, mend_target_duration
from transcoder.encode.measured_losses import measured_losses
from transcoder.encode.measured_rendition import MeasuredRendition, measure_rendition
from transcoder.encode.output_losses import OutputLoss, decoding_losses, planned_losses
from transcoder.encode.picture_sizes import PictureSizes, read_picture_sizes
from transcoder.encode.pictures import first_bright_folder, picture_command, poster_instants
from transcoder.encode.source_ends import (
    SourceEnds,
    held_sec,
    measured_info,
    read_source_ends,
    refuse_cut_off,
    refuse_undecoded,
)
from transcoder.encode.storyboard_sheet import (
    CUES,
    SHEET,
    StoryboardPlan,
    plan_storyboard,
    sheet_command,
    storyboard_cues,
    storyboard_silence_sec,
)

OnProgress = Callable[[str, float], None]
"""Called with the step (`encoding`, `packaging`) and the percentage of the encoding done."""
Cancelled = Callable[[], bool]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncodeOptions:
    """Choices of the caller.

    Attributes:
        max_profile: Largest rendition.
        preset: x264 preset. `veryfast` gives a playable video soonest per core.
        poster_time_sec: Instant of the poster; None leaves the choice to the encode.
        stall_sec: Seconds that ffmpeg may produce nothing new.
        limits: Bounds of the measured source; None for none.
        loudness_lufs: Loudness to normalise the sound to (EBU R128); None leaves it.
    """

    max_profile: str = DEFAULT_MAX_PROFILE
    preset: str = "veryfast"
    poster_time_sec: float | None = None
    stall_sec: float = 120
    limits: Limits | None = None
    loudness_lufs: float | None = None


@dataclass(frozen=True)
class Encoded:
    """Result of an encode.

    Attributes:
        outputs: Folder with the master playlist, a folder per rendition, and the fallback.
        pictures: Folder with the poster, the thumbnail and the storyboard.
        renditions: Largest first.
        duration_sec: Measured duration of the top rendition.
        has_storyboard: False if none could be drawn; the video plays without it.
        source: Facts of the source, measured from its packets and frames.
        losses: Differences from the source.
    """

    outputs: Path
    pictures: Path
    renditions: tuple[MeasuredRendition, ...]
    duration_sec: float
    has_storyboard: bool
    source: SourceInfo
    losses: tuple[OutputLoss, ...] = ()


def encode_source(
    source: Path,
    info: SourceInfo,
    workdir: Path,
    options: EncodeOptions,
    tools: Tools,
    *,
    on_progress: OnProgress,
    cancelled: Cancelled,
) -> Encoded:
    """Encode a local file into all outputs that are published.

    Args:
        source: A local file that was probed and is within the limits. Inner headers of FLV files
            that were joined are hidden in it.
        info: Result of its probe.
        workdir: An empty folder of this claim; the caller removes it.
        options: Choices of the caller.
        tools: Paths of ffmpeg and ffprobe.
        on_progress: Called with step and percentage, about twice a second during the encoding.
        cancelled: Called about twice a second; True stops the encode.

    Raises:
        EncodeCancelled: `cancelled` returned True.
        EncodeFailed: Has the code of the failure.
    """
    work = _Work(source, info, workdir, options, tools, cancelled)
    try:
        return _encode(work, on_progress)
    except EncodeFailed as error:
        if disk_is_full(workdir):  # a full disk shows as many different failures
            raise disk_full_failure() from error
        raise


def _encode(work: "_Work", on_progress: OnProgress) -> Encoded:
    if work.info.container == "flv":
        hide_inner_headers(work.source)
    ends = work.read_ends()
    refuse_cut_off(work.info, ends)
    work = work.measured(ends)
    work.make_folders()
    losses = work.encode_renditions(ends, on_progress)
    on_progress("packaging", 100.0)
    renditions = tuple(
        measure_rendition(work.outputs / rung.name, work.tools) for rung in work.rungs
    )
    duration_sec = renditions[0].duration_sec
    refuse_undecoded(ends, duration_sec)
    (work.outputs / MASTER).write_text(master_playlist(renditions))
    work.remux_fallback()
    work.take_pictures(duration_sec)
    has_storyboard = work.draw_storyboard(duration_sec)
    return Encoded(
        work.outputs,
        work.pictures,
        renditions,
        duration_sec,
        has_storyboard,
        source=work.info,
        losses=losses,
    )


@dataclass(frozen=True)
class _Work:
    """Encode under way: its inputs, and one method for each ffmpeg run."""

    source: Path
    info: SourceInfo
    workdir: Path
    options: EncodeOptions
    tools: Tools
    cancelled: Cancelled
    fitted: bool = False
    pixel_shapes: Sequence[tuple[float, Fraction]] = ()
    fastest_rate: float | None = None
    found: tuple[OutputLoss, ...] = ()

    @property
    def rungs(self) -> Sequence[Rung]:
        return ladder(self.info.width, self.info.height, self.options.max_profile)

    @property
    def runner(self) -> FfmpegRunner:
        return FfmpegRunner(self.info, self.workdir, self.cancelled, self.options.stall_sec)

    @property
    def outputs(self) -> Path:
        return self.workdir / "outputs"

    @property
    def pictures(self) -> Path:
        return self.workdir / "pictures"

    @property
    def rate(self) -> Fraction:
        return output_rate(
            self.info.frame_rate,
            variable=self.info.variable_frame_rate,
            fastest_rate=self.fastest_rate,
        )

    def make_folders(self) -> None:
        for rung in self.rungs:
            (self.outputs / rung.name).mkdir(parents=True)
        (self.outputs / FALLBACK).parent.mkdir()

    def read_ends(self) -> SourceEnds:
        return read_source_ends(
            self.source,
            self.info,
            self.tools,
            cancelled=self.cancelled,
            stall_sec=self.options.stall_sec,
        )

    def measured(self, ends: SourceEnds) -> "_Work":
        """Return the work with measured facts of its source in place of the declared ones."""
        info = measured_info(self.info, ends)
        if self.options.limits is not None:
            check_limits(info, self.options.limits)
        sizes = self._read_sizes(info, ends)
        info = replace(info, width=sizes.width, height=sizes.height)
        return replace(
            self,
            info=info,
            fitted=sizes.may_change,
            pixel_shapes=sizes.pixel_shapes,
            fastest_rate=ends.spacing.fastest_rate,
            found=measured_losses(self.info, info, ends, sizes),
        )

    def _read_sizes(self, info: SourceInfo, ends: SourceEnds) -> PictureSizes:
        return read_picture_sizes(
            self.source,
            info,
            ends,
            self.tools,
            cancelled=self.cancelled,
            stall_sec=self.options.stall_sec,
        )

    def encode_renditions(
        self, ends: SourceEnds, on_progress: OnProgress
    ) -> tuple[OutputLoss, ...]:
        """Encode the renditions, without sound if it is the sound that cannot be encoded."""
        fault = None
        try:
            stderr = self.run_encode(ends, on_progress)
        except EncodeFailed as error:
            if self.info.audio_codec is None or error.retryable or not error.signature:
                raise
            fault = error.detail
            shutil.rmtree(self.outputs)
            self.make_folders()
            silent = replace(self, info=replace(self.info, audio_codec=None))
            stderr = silent.run_encode(ends, on_progress)
        planned = planned_losses(self.info, self.rungs, self.rate, fault)
        return (*planned, *self.found, *decoding_losses(stderr))

    def run_encode(self, ends: SourceEnds, on_progress: OnProgress) -> str:
        """Run ffmpeg; return the end of its messages."""

        def report(progress: FfmpegProgress) -> None:
            done = 100 * progress.out_time_sec / self.info.duration_sec
            on_progress("encoding", min(100.0, done))

        command = encode_command(
            self.source,
            self.info,
            self.rungs,
            self.rate,
            ffmpeg=self.tools.ffmpeg,
            held_sec=held_sec(ends),
            preset=self.options.preset,
            into=self.outputs,
            fitted=self.fitted,
            pixel_shapes=self.pixel_shapes,
            loudness_lufs=self.options.loudness_lufs,
            moves=ends.moves,
        )
        reach = Reach(reads=(self.source,), writes=self.outputs)
        done = self.runner.run_to_success(command, reach, report)
        if not all((self.outputs / rung.name / PLAYLIST).is_file() for rung in self.rungs):
            nothing = EncodeFailed("source_corrupt", "No frame of the video could be decoded.")
            raise undecoded_failure(done.stderr) or nothing
        for rung in self.rungs:
            mend_target_duration(self.outputs / rung.name / PLAYLIST)
        return done.stderr

    def remux_fallback(self) -> None:
        rendition = self.outputs / fallback_rung(self.rungs).name
        video = self.outputs / FALLBACK
        command = remux_command(rendition, ffmpeg=self.tools.ffmpeg, into=video)
        self.runner.run_to_success(command, Reach(reads=(rendition,), writes=video.parent))

    def take_pictures(self, duration_sec: float) -> None:
        best = first_bright_folder(self._pictures(duration_sec), self.tools)
        if best is None:
            raise EncodeFailed("encoder_failed", "No picture could be taken.", retryable=True)
        best.rename(self.pictures)

    def _pictures(self, duration_sec: float) -> Iterator[Path]:
        """Take pictures at one instant after another, on demand."""
        size = fallback_rung(self.rungs)
        for number, instant in enumerate(
            poster_instants(duration_sec, self.options.poster_time_sec)
        ):
            folder = self.workdir / f"pictures-{number}"
            folder.mkdir()
            video = self.outputs / FALLBACK
            self.runner.run(
                picture_command(video, size, instant, ffmpeg=self.tools.ffmpeg, into=folder),
                Reach(reads=(video,), writes=folder),
            )
            if any(folder.iterdir()):
                yield folder

    def draw_storyboard(self, duration_sec: float) -> bool:
        """Add a storyboard to the pictures; return False if it fails for any cause but the disk."""
        rung = self.rungs[-1]
        board = plan_storyboard(duration_sec, rung.width, rung.height)
        sheet = self.pictures / SHEET
        try:
            self._draw(board, rung, sheet)
        except EncodeFailed as error:
            if disk_is_full(self.workdir):
                raise
            _log.warning("no storyboard: %s", error)
            sheet.unlink(missing_ok=True)
            return False
        (self.pictures / CUES).write_text(storyboard_cues(board))
        return True

    def _draw(self, board: StoryboardPlan, rung: Rung, sheet: Path) -> None:
        rendition = self.outputs / rung.name
        command = sheet_command(rendition, board, ffmpeg=self.tools.ffmpeg, into=sheet)
        reach = Reach(reads=(rendition,), writes=self.pictures)
        patience_sec = storyboard_silence_sec(board.duration_sec)
        done = self.runner.run(command, reach, patience_sec=patience_sec)
        if failure := failure_of(done):
            raise failure
        if not sheet.is_file():
            raise EncodeFailed("encoder_failed", "No frame was found for the storyboard.")
