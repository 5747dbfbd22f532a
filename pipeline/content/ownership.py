"""Ownership of outputs: the addresses that an attempt's provider may name as its outputs.

It is checked before an output is fetched or published. A callback's signature proves its sender;
it does not prove that an address in it belongs to the sender. A storage key could be an original's
or another asset's, and an absolute URL could belong to any host.
"""

from dataclasses import dataclass, replace
from uuid import UUID

from pipeline.content.object_urls import key_of, output_prefix, poster_prefix
from pipeline.domain.values import ADDRESS_FIELDS, Outputs, Playback
from pipeline.net.fetch_policy import FetchPolicy, FetchRefused, check_url


@dataclass(frozen=True)
class AllowedOutputs:
    """The addresses that the outputs of one attempt may have.

    Attributes:
        hosts: The account's output hosts; empty if the provider writes to our storage.
        signs: The account restricts the outputs at these hosts to viewers with a right.
    """

    asset_id: UUID
    attempt_id: UUID
    playback: Playback
    hosts: frozenset[str]
    signs: bool = False

    def narrowed(self, policy: FetchPolicy) -> FetchPolicy:
        """Return the policy for these hosts alone, so that a redirect leads to no other host."""
        return replace(policy, hosts=self.hosts)


def misplaced(outputs: Outputs, allowed: AllowedOutputs, policy: FetchPolicy) -> str | None:
    """Return the first output outside the allowed addresses, and the reason; None for none.

    Args:
        policy: The policy for addresses that strangers name.
    """
    for name, address in _addresses(outputs):
        fault = _fault_of(address, allowed, policy)
        if fault:
            return f"the {name} {fault}"
    return None


def _addresses(outputs: Outputs) -> list[tuple[str, str]]:
    named = [(name.removesuffix("_url"), getattr(outputs, name)) for name in ADDRESS_FIELDS]
    return [(name, address) for name, address in named if address is not None]


def _fault_of(address: str, allowed: AllowedOutputs, policy: FetchPolicy) -> str | None:
    key = key_of(address)
    if key is not None:
        return None if _is_own(key, allowed) else "lies outside of this attempt's prefixes"
    if allowed.playback is Playback.SIGNED and not allowed.signs:
        return "lies at an address that every reader may read"
    try:
        check_url(address, allowed.narrowed(policy))
    except FetchRefused as error:
        return f"is refused: {error.detail}"
    return None


def _is_own(key: str, allowed: AllowedOutputs) -> bool:
    """Return true if the key lies below the attempt's prefixes.

    A key with an empty or dotted segment, or with an escape, does not.
    """
    prefixes = (
        output_prefix(allowed.asset_id, allowed.attempt_id, allowed.playback),
        poster_prefix(allowed.asset_id, allowed.attempt_id, allowed.playback),
    )
    plain = key.isascii() and key.isprintable() and not set(key) & set("\\%?#")
    segments = key.split("/")
    whole = all(segment and not segment.startswith(".") for segment in segments)
    return plain and whole and any(key.startswith(f"{prefix}/") for prefix in prefixes)
