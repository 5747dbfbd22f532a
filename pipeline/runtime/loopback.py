"""Addresses of this machine alone."""

from ipaddress import IPv6Address, ip_address


def is_loopback(host: str) -> bool:
    """Return True for ``localhost`` and for an address that only this machine reaches.

    A name that happens to resolve to loopback is no loopback: it may resolve elsewhere tomorrow.
    """
    plain = host.strip("[]").rstrip(".").lower()
    if plain == "localhost":
        return True
    try:
        address = ip_address(plain.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
