"""Which renditions a source gets: the ladder, by short side, never above the source.

By short side, so that a portrait 720x1280 is a 720p as a landscape 1280x720 is.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class LadderProfile:
    """One step of the full ladder.

    Attributes:
        name: The profile's name, also its folder.
        short_side: Pixels of the smaller dimension.
        video_bps: Ceiling of the video bitrate at up to 30 frames per second. 360p, 720p and
            1080p follow Apple's HLS authoring table for H.264; the others sit between on the
            same slope. A ceiling, not a target: constant quality decides below it.
        audio_bps: AAC bitrate; small rungs serve slow links, where 128 kbit/s of sound would
            be most of the stream.
    """

    name: str
    short_side: int
    video_bps: int
    audio_bps: int


PROFILES = (
    LadderProfile("2160p", 2160, 18_000_000, 128_000),
    LadderProfile("1440p", 1440, 10_000_000, 128_000),
    LadderProfile("1080p", 1080, 6_000_000, 128_000),
    LadderProfile("720p", 720, 3_500_000, 128_000),
    LadderProfile("480p", 480, 1_500_000, 128_000),
    LadderProfile("360p", 360, 730_000, 96_000),
    LadderProfile("240p", 240, 300_000, 64_000),
)
PROFILE_NAMES = tuple(profile.name for profile in PROFILES)
DEFAULT_MAX_PROFILE = "1080p"


@dataclass(frozen=True)
class Rung:
    """A rendition to make: a profile at this source's shape, in even pixels."""

    profile: LadderProfile
    width: int
    height: int

    @property
    def name(self) -> str:
        """The profile's name."""
        return self.profile.name


def ladder(width: int, height: int, max_profile: str = DEFAULT_MAX_PROFILE) -> tuple[Rung, ...]:
    """Choose the renditions of a source, largest first.

    Args:
        width: Display width of the source: rotated, with square pixels.
        height: Display height of the source.
        max_profile: The largest profile allowed.

    Returns:
        Every profile whose short side the source reaches, up to `max_profile`. A source smaller
        than the smallest profile gets one rung at its own size, named after that profile.
    """
    ceiling = short_side_of(max_profile)
    short = min(width, height)
    fitting = [p for p in PROFILES if p.short_side <= min(short, ceiling)]
    if not fitting:
        return (Rung(PROFILES[-1], _even_floor(width), _even_floor(height)),)
    return tuple(_rung(profile, width, height) for profile in fitting)


def short_side_of(profile_name: str) -> int:
    """Pixels of a profile's short side.

    Raises:
        ValueError: No such profile.
    """
    for profile in PROFILES:
        if profile.name == profile_name:
            return profile.short_side
    raise ValueError(f"no such profile: {profile_name}; one of {', '.join(PROFILE_NAMES)}")


def _rung(profile: LadderProfile, width: int, height: int) -> Rung:
    short, long = sorted((width, height))
    scaled = 2 * round(long * profile.short_side / short / 2)
    # Rounding up to even must not take a 321 pixel side to 322: that would be an upscale.
    long_side = min(scaled, _even_floor(long))
    if width < height:
        return Rung(profile, profile.short_side, long_side)
    return Rung(profile, long_side, profile.short_side)


def _even_floor(pixels: int) -> int:
    """The largest even number not above `pixels`; 4:2:0 chroma needs at least two."""
    return max(2, pixels - pixels % 2)
