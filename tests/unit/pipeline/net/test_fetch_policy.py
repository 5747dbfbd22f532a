import pytest

from pipeline.net.fetch_errors import FetchRefused
from pipeline.net.fetch_policy import FetchPolicy, check_url
from pipeline.net.origins import WebOrigin, read_allowed_origin

STRICT = FetchPolicy(ports=frozenset({443}))
DEVELOPMENT = FetchPolicy(allow=(read_allowed_origin("http://127.0.0.1:*"),))


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


def test_a_development_policy_takes_http_from_one_address_on_any_port() -> None:
    check_url("http://127.0.0.1:8081/video.mp4", DEVELOPMENT)


EXACT = FetchPolicy(
    ports=frozenset({443}), allow=(read_allowed_origin("http://media.internal:8080"),)
)


@pytest.mark.parametrize(
    "url",
    [
        "http://media.internal:8080/video.mp4",
        "http://MEDIA.internal.:8080/video.mp4",
        "https://public.example/video.mp4",
    ],
)
def test_an_allowed_origin_and_everything_public_pass(url: str) -> None:
    check_url(url, EXACT)


@pytest.mark.parametrize(
    "url",
    [
        "http://media.internal:8081/video.mp4",
        "http://media.internal/video.mp4",
        "https://media.internal:8080/video.mp4",
        "http://other.internal:8080/video.mp4",
        "http://x.media.internal:8080/video.mp4",
        "http://127.0.0.2:8080/video.mp4",
        "http://public.example/video.mp4",
    ],
)
def test_an_allowed_origin_lets_in_no_other_port_scheme_or_host(url: str) -> None:
    with pytest.raises(FetchRefused):
        check_url(url, EXACT)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.2:8081/", "http://localhost:8081/", "http://[::1]/"]
)
def test_an_allowed_address_lets_in_no_other_address_or_name_of_the_machine(url: str) -> None:
    with pytest.raises(FetchRefused):
        check_url(url, DEVELOPMENT)


API, BUCKET = WebOrigin("http", "10.0.0.5", 8080), WebOrigin("http", "10.0.0.6", 9000)
SITE, PUBLIC = WebOrigin("http", "10.0.0.7", 80), WebOrigin("https", "public.example", 443)
RULES = FetchPolicy(
    own=frozenset({API, BUCKET}), allow=(read_allowed_origin("http://10.0.0.7:80"),)
)


def url_of(origin: WebOrigin) -> str:
    return f"{origin.scheme}://{origin.host}:{origin.port}/a"


@pytest.mark.parametrize(
    "way",
    [
        (API, BUCKET),
        (BUCKET, API, BUCKET),
        (SITE, SITE),
        (SITE, PUBLIC, SITE),
        (API, PUBLIC),
        (PUBLIC, PUBLIC),
    ],
    ids=str,
)
def test_our_own_origins_lead_to_each_other_and_an_allowed_one_to_itself(
    way: tuple[WebOrigin, ...],
) -> None:
    check_url(url_of(way[-1]), RULES, way[:-1])


@pytest.mark.parametrize(
    "way",
    [
        (PUBLIC, API),
        (PUBLIC, SITE),
        (SITE, API),
        (API, SITE),
        (API, PUBLIC, BUCKET),
        (PUBLIC, API, API),
    ],
    ids=str,
)
def test_no_other_origin_leads_to_an_allowed_or_own_one(way: tuple[WebOrigin, ...]) -> None:
    with pytest.raises(FetchRefused):
        check_url(url_of(way[-1]), RULES, way[:-1])


@pytest.mark.parametrize(
    "text",
    [
        *("10.0.0.0/8", "10.0.0.5", "10.0.0.5:8080", "everywhere", "", "*"),
        *("http://*:80", "http://*.example", "ftp://media.internal", "http://media.internal/path"),
        *("http://user@media.internal", "http://media.internal:0", "http://media.internal:99999"),
        *("http://10.0.0.0/8", "http://media.internal?x"),
    ],
)
def test_a_network_an_address_or_a_pattern_is_no_origin(text: str) -> None:
    with pytest.raises(ValueError, match=r"origin|port"):
        read_allowed_origin(text)


def test_what_is_said_of_a_refused_url_does_not_repeat_it() -> None:
    with pytest.raises(FetchRefused) as refusal:
        check_url("https://user:hunter2@example.com/", STRICT)

    assert "hunter2" not in str(refusal.value)
