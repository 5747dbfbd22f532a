import pytest
from apiflask import APIFlask

from api.http.security_headers import PAGE, page_policy, register, sources_of
from pipeline.net.fetch_policy import FetchPolicy, allowed_ports


@pytest.mark.parametrize(
    ("ports", "http", "sources"),
    [
        (frozenset[int](), False, ["https://*.v.example"]),
        (frozenset[int](), True, ["https://*.v.example", "http://*.v.example"]),
        (frozenset({443, 8443}), False, ["https://*.v.example", "https://*.v.example:8443"]),
        ("any", True, ["https://*.v.example:*", "http://*.v.example:*"]),
    ],
    ids=["https", "http too", "another port", "any port"],
)
def test_a_host_is_allowed_by_the_schemes_and_ports_of_its_addresses(
    ports: frozenset[int], http: bool, sources: list[str]
) -> None:
    policy = FetchPolicy(
        https_only=not http,
        ports=allowed_ports(ports, http=http),
    )

    assert sources_of(["*.v.example"], policy) == sources


def test_a_page_loads_media_from_the_named_hosts_and_nothing_else() -> None:
    app = APIFlask("x", docs_path=None)
    register(app, ["https://*.v.example"])

    with app.app_context():
        policy = page_policy("https://video.example")

    both = "'self' https://video.example https://*.v.example"
    expected = PAGE.replace("img-src 'self'", f"img-src {both}")
    expected = expected.replace("media-src 'self'", f"media-src {both}")
    assert policy == expected.replace("connect-src 'self'", f"connect-src {both}")
