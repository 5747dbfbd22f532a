"""Where a provider's outputs may lie. Asked before anything of them is fetched or published.

A callback's signature says who speaks, not that what is named is the speaker's to publish: an
address of ours could be an original's or another asset's, an absolute one anybody's.
"""

from dataclasses import dataclass, replace
from uuid import UUID

from pipeline.content.object_urls import key_of, output_prefix, poster_prefix
from pipeline.domain.values import Outputs, Playback
from pipeline.net.fetch_policy import FetchPolicy, FetchRefused, check_url


@dataclass(frozen=True)
class Place:
    """Where the outputs of one attempt belong.

    Attributes:
        hosts: Of the account, beside our own storage; none where it writes there.
    """

    asset_id: UUID
    attempt_id: UUID
    playback: Playback
    hosts: frozenset[str]

    def narrowed(self, policy: FetchPolicy) -> FetchPolicy:
        """The policy, for these hosts only: a redirect leads nowhere else either."""
        return replace(policy, hosts=self.hosts)


def misplaced(outputs: Outputs, place: Place, policy: FetchPolicy) -> str | None:
    """Say which output lies where it must not, and why; None when all are in place.

    Args:
        policy: What may be fetched on a stranger's word.
    """
    for name, address in _addresses(outputs):
        wrong = _wrong_about(address, place, policy)
        if wrong:
            return f"the {name} {wrong}"
    return None


def _addresses(outputs: Outputs) -> list[tuple[str, str]]:
    named = {
        "manifest": outputs.manifest_url,
        "fallback": outputs.fallback_url,
        "poster": outputs.poster_url,
        "thumbnail": outputs.thumbnail_url,
        "storyboard": outputs.storyboard_url,
    }
    return [(name, address) for name, address in named.items() if address is not None]


def _wrong_about(address: str, place: Place, policy: FetchPolicy) -> str | None:
    key = key_of(address)
    if key is not None:
        return None if _is_own(key, place) else "lies outside of what this attempt writes"
    if place.playback is Playback.SIGNED:
        return "lies where everybody may read it"
    try:
        check_url(address, place.narrowed(policy))
    except FetchRefused as error:
        return f"is refused: {error.detail}"
    return None


def _is_own(key: str, place: Place) -> bool:
    """Below the attempt's own prefixes, spelled plainly: no empty or dotted segment, no escape."""
    prefixes = (
        output_prefix(place.asset_id, place.attempt_id, place.playback),
        poster_prefix(place.asset_id, place.attempt_id, place.playback),
    )
    plain = key.isascii() and key.isprintable() and not set(key) & set("\\%?#")
    segments = key.split("/")
    whole = all(segment and not segment.startswith(".") for segment in segments)
    return plain and whole and any(key.startswith(f"{prefix}/") for prefix in prefixes)
