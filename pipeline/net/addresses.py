"""Network addresses that a source may be fetched from.

The list is ours. `ipaddress.is_global` changes with the Python version and lets multicast and the
tunnels (6to4, Teredo, NAT64) through; a fetch through a tunnel ends at an IPv4 address that was
never checked. Sources: IANA's special-purpose address registries (RFC 6890) for IPv4 and IPv6.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' shared space; Alibaba's metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host agent, on a public address
        "169.254.0.0/16",  # link-local; the metadata services of AWS, GCP, Azure and others
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        # Only 2000::/3 of IPv6 is assigned to networks. These three are the rest: loopback,
        # IPv4-mapped and -compatible, NAT64 (64:ff9b::/96), unique local, link- and site-local,
        # multicast.
        *("::/3", "4000::/2", "8000::/1"),
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)


def is_fetchable(address: Address) -> bool:
    """Return True for an address on the public internet."""
    return not any(address in network for network in _REFUSED if network.version == address.version)
