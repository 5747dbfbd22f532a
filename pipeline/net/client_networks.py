"""The range of addresses that one client has, by which limits count."""

from ipaddress import IPv6Address, ip_address, ip_network

NETWORK_BITS = 64
"""The network part of an IPv6 address; a provider's customer chooses the rest (RFC 6177)."""


def shortest_form(address: str) -> str:
    """Return an address in the one form that has no other (RFC 5952), and other text as it is.

    An IPv4 address that a listener for both families reports as an IPv6 one is an IPv4 address.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


def network_of(address: str) -> str:
    """Return the address range of one party: an IPv4 address, or the network of an IPv6 one."""
    shortest = shortest_form(address)
    if ":" not in shortest:
        return shortest
    try:
        return str(ip_network((int(IPv6Address(shortest)), NETWORK_BITS), strict=False))
    except ValueError:
        return shortest
