"""Addresses of this machine that count as public, so that a test has an internet to fetch from."""

from ipaddress import IPv4Network

import pytest

from pipeline.net import addresses


def treat_as_public(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Take IPv4 addresses, and no others, out of the table of refused networks."""
    for host in hosts:
        monkeypatch.setattr(addresses, "_REFUSED", _without(addresses._REFUSED, IPv4Network(host)))


def _without(
    refused: tuple[addresses.Network, ...], hole: IPv4Network
) -> tuple[addresses.Network, ...]:
    kept: list[addresses.Network] = []
    for network in refused:
        if isinstance(network, IPv4Network) and hole.subnet_of(network):
            kept.extend(network.address_exclude(hole))
        else:
            kept.append(network)
    return tuple(kept)
