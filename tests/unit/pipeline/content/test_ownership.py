from dataclasses import replace
from uuid import UUID

import pytest

from pipeline.content.ownership import AllowedOutputs, misplaced
from pipeline.domain.values import Outputs, Playback
from pipeline.net.fetch_policy import FetchPolicy
from pipeline.net.origins import read_allowed_origin

ASSET, ATTEMPT, OTHER = (UUID(int=number) for number in (1, 2, 3))
POLICY = FetchPolicy(ports=frozenset({443}))
PLACE = AllowedOutputs(ASSET, ATTEMPT, Playback.PUBLIC, frozenset())
AT_CDN = replace(PLACE, hosts=frozenset({"cdn.example"}))
OUT = f"storage:processed/{ASSET}/{ATTEMPT}"
PICTURES = f"storage:posters/{ASSET}/{ATTEMPT}"
OWN = Outputs(
    manifest_url=f"{OUT}/master.m3u8",
    fallback_url=f"{OUT}/fallback/video.mp4",
    poster_url=f"{PICTURES}/poster.jpg",
    thumbnail_url=f"{PICTURES}/thumb.jpg",
    duration_sec=5,
    width=320,
    height=180,
)


def test_what_the_attempt_wrote_is_in_place() -> None:
    assert misplaced(OWN, PLACE, POLICY) is None


def test_what_lies_on_a_host_of_the_account_is_in_place() -> None:
    at_cdn = replace(OWN, manifest_url="https://cdn.example/a/master.m3u8?token=x")
    assert misplaced(at_cdn, AT_CDN, POLICY) is None
    assert misplaced(at_cdn, PLACE, POLICY) is not None


@pytest.mark.parametrize(
    "address",
    [
        f"storage:processed/{OTHER}/{ATTEMPT}/master.m3u8",
        f"storage:processed/{ASSET}/{OTHER}/master.m3u8",
        f"storage:protected/processed/{ASSET}/{ATTEMPT}/master.m3u8",
        f"storage:original/ana/{ASSET}/source.mp4",
        "storage:",
        OUT,
        f"{OUT}/",
        f"{OUT}x/master.m3u8",
        f"{OUT}/../{OTHER}/master.m3u8",
        f"{OUT}/./master.m3u8",
        f"{OUT}//master.m3u8",
        f"{OUT}/%2e%2e/{OTHER}/master.m3u8",
        f"{OUT}/..\\{OTHER}\\master.m3u8",
        f"{OUT}/master.m3u8\0",
        f"{OUT}/master.m3u8?x=/",
        f"{OUT}/ma\u017fter.m3u8",
        f"Storage:processed/{ASSET}/{ATTEMPT}/master.m3u8",
        "https://elsewhere.example/master.m3u8",
        "https://cdn.example.elsewhere.example/master.m3u8",
        "https://elsewhere.example/cdn.example/master.m3u8",
        "https://cdn.example@elsewhere.example/master.m3u8",
        "https://cdn.example:8443/master.m3u8",
        "http://cdn.example/master.m3u8",
        "//cdn.example/master.m3u8",
        "https:cdn.example/master.m3u8",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://169.254.169.254/latest/meta-data",
        "",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("name", ["manifest", "fallback", "poster", "thumbnail", "storyboard"])
def test_one_output_anywhere_else_refuses_them_all(name: str, address: str) -> None:
    elsewhere = replace(OWN, **{f"{name}_url": address})  # type: ignore[arg-type]
    wrong = misplaced(elsewhere, AT_CDN, POLICY)
    assert wrong is not None
    assert wrong.startswith(f"the {name} ")


def test_a_signed_video_lies_under_the_protected_root_and_on_no_host() -> None:
    signed = replace(AT_CDN, playback=Playback.SIGNED)
    root = {"processed": "protected/processed", "posters": "protected/posters"}
    protected = replace(
        OWN,
        manifest_url=f"storage:{root['processed']}/{ASSET}/{ATTEMPT}/master.m3u8",
        fallback_url=f"storage:{root['processed']}/{ASSET}/{ATTEMPT}/video.mp4",
        poster_url=f"storage:{root['posters']}/{ASSET}/{ATTEMPT}/poster.jpg",
        thumbnail_url=f"storage:{root['posters']}/{ASSET}/{ATTEMPT}/thumb.jpg",
    )
    assert misplaced(protected, signed, POLICY) is None
    assert misplaced(OWN, signed, POLICY) is not None
    at_cdn = replace(protected, poster_url="https://cdn.example/poster.jpg")
    fault = misplaced(at_cdn, signed, POLICY)
    assert fault == "the poster lies at an address that every reader may read"


def test_an_address_inside_is_refused_even_on_the_list() -> None:
    inside = replace(PLACE, hosts=frozenset({"10.0.0.1"}))
    at_inside = replace(OWN, manifest_url="https://10.0.0.1/master.m3u8")
    assert misplaced(at_inside, inside, POLICY) is not None
    allowing = replace(POLICY, allow=(read_allowed_origin("https://10.0.0.1"),))
    assert misplaced(at_inside, inside, allowing) is None
