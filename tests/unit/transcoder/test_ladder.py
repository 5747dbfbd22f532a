import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoder.encode.ladder import PROFILES, ladder, short_side_of

SIDES = st.integers(min_value=2, max_value=8192)


def sizes(width: int, height: int, max_profile: str = "1080p") -> list[tuple[str, int, int]]:
    return [(rung.name, rung.width, rung.height) for rung in ladder(width, height, max_profile)]


def test_a_full_hd_source_gets_every_profile_up_to_its_own() -> None:
    assert sizes(1920, 1080) == [
        ("1080p", 1920, 1080),
        ("720p", 1280, 720),
        ("480p", 854, 480),
        ("360p", 640, 360),
        ("240p", 426, 240),
    ]


def test_a_portrait_source_is_measured_by_its_short_side() -> None:
    assert sizes(720, 1280)[0] == ("720p", 720, 1280)


@pytest.mark.parametrize(
    ("size", "rungs"),
    [
        ((1646, 1042), [("1042p", 1646, 1042), ("720p", 1138, 720), ("480p", 758, 480)]),
        ((1440, 900), [("900p", 1440, 900), ("720p", 1152, 720)]),
        ((1024, 576), [("576p", 1024, 576), ("480p", 854, 480)]),
        ((600, 600), [("600p", 600, 600), ("480p", 480, 480)]),
        ((576, 1024), [("576p", 576, 1024), ("480p", 480, 854)]),
        ((1920, 800), [("800p", 1920, 800), ("720p", 1728, 720)]),
        # A profile that is hardly smaller than the source gives way to the source's own size.
        ((1280, 719), [("718p", 1280, 718), ("480p", 854, 480)]),
        ((720, 486), [("486p", 720, 486), ("360p", 534, 360)]),
        ((1281, 721), [("720p", 1280, 720), ("480p", 852, 480)]),
        ((854, 480), [("480p", 854, 480), ("360p", 640, 360)]),
    ],
)
def test_a_source_between_two_profiles_gets_a_rung_of_its_own_size(
    size: tuple[int, int], rungs: list[tuple[str, int, int]]
) -> None:
    assert sizes(*size)[: len(rungs)] == rungs


def test_the_largest_profile_allowed_bounds_the_rung_of_the_sources_own_size() -> None:
    assert sizes(1440, 900, "720p")[0] == ("720p", 1152, 720)
    assert sizes(1920, 1200)[0] == ("1080p", 1728, 1080)
    assert sizes(7680, 4320, "2160p")[0] == ("2160p", 3840, 2160)


@given(st.integers(242, 2158))
def test_a_rung_of_the_sources_own_size_has_a_ceiling_between_its_neighbours(side: int) -> None:
    rungs = ladder(2 * side, side, PROFILES[0].name)
    ceilings = [rung.profile.video_bps for rung in rungs]
    assert ceilings == sorted(set(ceilings), reverse=True)
    above = [profile.video_bps for profile in PROFILES if profile.short_side > side]
    assert ceilings[0] < min(above)


def test_a_source_below_every_profile_gets_one_rung_at_its_own_even_size() -> None:
    assert sizes(321, 181) == [("240p", 320, 180)]
    assert sizes(3, 2) == [("240p", 2, 2)]


def test_nothing_above_the_largest_profile_allowed_is_made() -> None:
    assert sizes(3840, 2160)[0] == ("1080p", 1920, 1080)
    assert sizes(3840, 2160, "2160p")[0] == ("2160p", 3840, 2160)
    assert [name for name, _, _ in sizes(1920, 1080, "360p")] == ["360p", "240p"]


def test_an_unknown_profile_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="2160p, 1440p"):
        short_side_of("999p")


@given(SIDES, SIDES)
def test_no_rung_is_ever_odd_or_larger_than_its_source(width: int, height: int) -> None:
    for rung in ladder(width, height, PROFILES[0].name):
        assert rung.width % 2 == rung.height % 2 == 0
        assert 2 <= rung.width <= width
        assert 2 <= rung.height <= height


@given(st.integers(240, 4320), st.integers(240, 4320))
def test_every_rung_keeps_the_shape_of_its_source(width: int, height: int) -> None:
    for rung in ladder(width, height, PROFILES[0].name):
        # Rounding to even moves either side by at most one pixel; the short one's counts twice or
        # more in a long picture.
        short, long = sorted((width, height))
        exact = long * min(rung.width, rung.height) / short
        assert abs(max(rung.width, rung.height) - exact) <= 1 + max(1, long / short)
