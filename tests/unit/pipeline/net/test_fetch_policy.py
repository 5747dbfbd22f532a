from ipaddress import ip_network

import pytest

from pipeline.net.fetch_errors import FetchRefused
from pipeline.net.fetch_policy import FetchPolicy, check_url

STRICT = FetchPolicy(ports=frozenset({443}))
DEVELOPMENT = FetchPolicy(https_only=False, allow=(ip_network("127.0.0.0/8"),))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/video.mp4",
        "https://example.com:443/video.mp4?signature=a%2Fb#t=1",
        "https://EXAMPLE.com",
        "https://8.8.8.8/video.mp4",
    ],
)
def test_a_public_https_url_passes(url: str) -> None:
    check_url(url, STRICT)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "video.mp4",
        "//example.com/video.mp4",
        "http://example.com/video.mp4",
        "file:///etc/passwd",
        "ftp://example.com/video.mp4",
        "gopher://example.com/",
        "https://",
        "https:///video.mp4",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com:80/",
        "https://example.com:99999/",
        "https://example.com:port/",
        "https://[::1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://169.254.169.254/latest/meta-data",
        "https://exa mple.com/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/\r\nHost: other",
        "https://example.com/ä",
        "https://example.com/" + "a" * 5000,
    ],
    ids=ascii,
)
def test_any_other_url_is_refused_for_good(url: str) -> None:
    with pytest.raises(FetchRefused) as refusal:
        check_url(url, STRICT)

    assert refusal.value.code == "url_refused"
    assert not refusal.value.transient


def test_a_development_policy_takes_http_from_loopback_on_any_port() -> None:
    check_url("http://127.0.0.1:8081/video.mp4", DEVELOPMENT)


def test_what_is_said_of_a_refused_url_does_not_repeat_it() -> None:
    with pytest.raises(FetchRefused) as refusal:
        check_url("https://user:hunter2@example.com/", STRICT)

    assert "hunter2" not in str(refusal.value)
