from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.media.playlist import parse_master
from transcoder.encode.master_playlist import master_playlist
from transcoder.encode.measured_rendition import MeasuredRendition, peak_bps


def rendition(profile: str, width: int, height: int, average_bps: int) -> MeasuredRendition:
    return MeasuredRendition(
        profile=profile,
        width=width,
        height=height,
        frame_rate=Fraction(24000, 1001),
        bandwidth_bps=average_bps * 2,
        average_bandwidth_bps=average_bps,
        codecs="avc1.64001F,mp4a.40.2",
        duration_sec=12.0,
    )


def test_the_master_playlist_says_what_was_measured() -> None:
    master = parse_master(master_playlist([rendition("720p", 1280, 720, 1_900_000)]))
    assert master.independent_segments
    [variant] = master.variants
    assert variant.uri == "720p/index.m3u8"
    assert (variant.bandwidth_bps, variant.average_bandwidth_bps) == (3_800_000, 1_900_000)
    assert (variant.width, variant.height) == (1280, 720)
    assert variant.codecs == "avc1.64001F,mp4a.40.2"
    assert variant.frame_rate == 23.976


def test_the_variant_nearest_to_two_megabits_comes_first() -> None:
    ladder = [
        rendition("1080p", 1920, 1080, 5_000_000),
        rendition("720p", 1280, 720, 2_400_000),
        rendition("480p", 854, 480, 1_100_000),
    ]
    variants = parse_master(master_playlist(ladder)).variants
    assert [variant.uri.partition("/")[0] for variant in variants] == ["720p", "1080p", "480p"]


def test_the_peak_is_that_of_the_heaviest_segment() -> None:
    assert peak_bps([(600_000, 6.0), (900_000, 6.0), (300_000, 6.0)], 6) == 1_200_000


def test_a_short_last_segment_counts_with_the_one_before() -> None:
    # Alone it would be 8 Mbit/s, a rate that no player has to download at.
    assert peak_bps([(600_000, 6.0), (100_000, 0.1)], 6) == -(-700_000 * 8 * 10 // 61)


def test_a_video_of_one_short_segment_has_its_own_rate() -> None:
    assert peak_bps([(50_000, 0.4)], 1) == 1_000_000


@example([(1, 6.4 - 1e-15), (3, 3.0)])
@given(st.lists(st.tuples(st.integers(1, 10**7), st.floats(3.0, 6.4)), min_size=1, max_size=40))
def test_the_peak_is_never_below_the_average(segments: list[tuple[int, float]]) -> None:
    average = 8 * sum(size for size, _ in segments) / sum(length for _, length in segments)
    assert peak_bps(segments, 6) >= average - 1


def test_a_rate_is_rounded_up_so_that_it_is_never_exceeded() -> None:
    assert peak_bps([(100, 3.0)], 6) == 267


@pytest.mark.parametrize("segments", [1, 7, 8, 9, 30])
def test_equal_segments_peak_at_their_own_rate(segments: int) -> None:
    assert peak_bps([(750_000, 6.0)] * segments, 6) == 1_000_000
