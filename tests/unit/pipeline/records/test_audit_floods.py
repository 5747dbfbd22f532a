from ipaddress import IPv6Address

import pytest

from pipeline.net.client_networks import network_of
from pipeline.records.audit_floods import shared_text


@pytest.mark.parametrize(
    "network",
    ["2001:db8:1:2::", "2001:db8:1:0::", "2001:db8::", "2001:0:0:5::", "2001::", "::", "0:0:1:2::"],
)
@pytest.mark.parametrize("host", ["::", "::1", "::a:b:c:d", "::a:0:0:d", "::1:0:0:0"])
def test_every_address_of_a_network_begins_with_its_shared_text(network: str, host: str) -> None:
    address = str(IPv6Address(int(IPv6Address(network)) + int(IPv6Address(host))))
    assert address.startswith(shared_text(network_of(address)))


def test_the_text_of_a_common_network_is_all_of_its_groups() -> None:
    assert shared_text("2001:db8:1:2::/64") == "2001:db8:1:2:"
