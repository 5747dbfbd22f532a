from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from transcoder.encode.ffmpeg_progress import FfmpegProgress, ProgressParser

PRINTED = (
    b"frame=0\nout_time_us=N/A\nprogress=continue\n"
    b"frame=25\nfps=50.0\nout_time_us=1000000\nspeed=2.0x\nprogress=continue\n"
    b"frame=50\nout_time_us=2000000\nprogress=end\n"
)
REPORTS = [
    FfmpegProgress(0, ended=False),
    FfmpegProgress(1, ended=False),
    FfmpegProgress(2, ended=True),
]


def test_reports_are_read_in_order() -> None:
    assert ProgressParser().feed(PRINTED) == REPORTS


@given(st.lists(st.integers(0, len(PRINTED)), max_size=8))
def test_a_chunk_may_end_anywhere(cuts: list[int]) -> None:
    parser, reports = ProgressParser(), []
    edges = [0, *sorted(cuts), len(PRINTED)]
    for start, end in pairwise(edges):
        reports += parser.feed(PRINTED[start:end])
    assert reports == REPORTS


def test_a_time_before_zero_counts_as_zero() -> None:
    assert ProgressParser().feed(b"out_time_us=-23220\nprogress=continue\n") == [REPORTS[0]]
