import pytest

from transcoder.encode.ffmpeg_failures import failure_of
from transcoder.encode.ffmpeg_process import FfmpegResult


@pytest.mark.parametrize(
    ("returncode", "stderr", "code"),
    [
        (1, "av_interleaved_write_frame(): No space left on device\n", "insufficient_space"),
        (-9, "", "encoder_failed"),
        (1, "[x @ 0x1] something\nConversion failed!\n", "encoder_failed"),
    ],
)
def test_a_failed_run_has_a_code_and_may_be_tried_again(
    returncode: int, stderr: str, code: str
) -> None:
    failure = failure_of(FfmpegResult(returncode, stderr, 0.0))
    assert failure is not None
    assert (failure.code, failure.retryable) == (code, True)


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        ("[av1 @ 0x1] Your platform doesn't support hardware accelerated AV1", "undecodable"),
        ("Error while decoding: Function not implemented\nConversion failed!", "undecodable"),
        ("Decoder (codec evc) not found for input stream #0:0", "undecodable"),
        ("Decode error rate 1 exceeds maximum 0.666667", "source_corrupt"),
    ],
)
def test_only_broken_data_is_called_damage(stderr: str, code: str) -> None:
    failure = failure_of(FfmpegResult(1, stderr, 0.0))
    assert failure is not None
    assert (failure.code, failure.retryable) == (code, False)


def test_a_program_that_cannot_be_started_is_never_the_videos_fault() -> None:
    failure = failure_of(FfmpegResult(125, "/nowhere/ffmpeg: No such file or directory\n", 0.0))
    assert failure is not None
    assert (failure.code, failure.retryable, failure.signature) == ("encoder_failed", True, "")


def test_a_run_that_succeeded_did_not_fail() -> None:
    assert failure_of(FfmpegResult(0, "a warning", 1.0)) is None


def test_the_same_failure_is_recognised_despite_its_addresses() -> None:
    first = failure_of(FfmpegResult(187, "[h264 @ 0x55aa] bad frame 12\n", 0.0))
    second = failure_of(FfmpegResult(187, "[h264 @ 0x7fff] bad frame 99\n", 0.0))
    other = failure_of(FfmpegResult(187, "[aac @ 0x55aa] bad frame 12\n", 0.0))
    assert first is not None
    assert second is not None
    assert other is not None
    assert first.signature == second.signature != other.signature


def test_a_crash_is_never_taken_for_a_repetition() -> None:
    failure = failure_of(FfmpegResult(-11, "the same words", 0.0))
    assert failure is not None
    assert failure.signature == ""
