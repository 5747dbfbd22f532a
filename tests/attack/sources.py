"""A source that leads inside: by its address, and by a redirect."""

from contextlib import closing

import pytest

from pipeline.net.fetch import FetchRefused, GuardedFetcher
from tests.attack.rows import Row
from tests.attack.target import Target
from tests.public_addresses import treat_as_public
from tests.unit.pipeline.net.conftest import Site, serving
from tests.unit.pipeline.net.responses import redirect
from tests.unit.pipeline.net.test_spellings import FRONT, LOOSE, TARGETS, Inside

ADDRESSES = (
    *("http://127.0.0.1/a.mp4", "https://127.0.0.1/a.mp4", "https://10.0.0.1/a.mp4"),
    *("https://[::1]/a.mp4", "https://[::ffff:10.0.0.1]/a.mp4", "https://169.254.169.254/latest"),
    *("file:///etc/passwd", "https://user:secret@videos.example/a.mp4"),
    *("storage:original/boris/x/y/source.mp4", "storage:processed/x/y/master.m3u8"),
)


def attack(target: Target) -> list[Row]:
    """Name addresses inside to the API, and lead a fetch inside by a redirect."""
    named = [
        Row("source", address, "422", str(target.create(source_url=address).status_code))
        for address in ADDRESSES
    ]
    with (
        pytest.MonkeyPatch.context() as patch,
        serving(Site(FRONT)) as front,
        closing(Inside(front)) as inside,
    ):
        treat_as_public(patch, FRONT)
        led = [_follow(front, inside, tried, where) for tried, where in TARGETS.items()]
        came = f"{len(inside.visitors())} connections"
    return [*named, *led, Row("source redirect", "reach a listener", "0 connections", came)]


def _follow(front: Site, inside: Inside, tried: str, where: str) -> Row:
    front.answers["/"] = redirect(where.format(port=inside.port, front=front.port))
    front.answers["/step"] = redirect(f"http://127.0.0.1:{inside.port}/")
    front.answers["/%5C%5C127.0.0.1"] = redirect(f"http://127.0.0.1:{inside.port}/")
    seen = "fetched"
    try:
        with GuardedFetcher(LOOSE) as fetcher:
            fetcher.get(front.url("/", FRONT), max_bytes=10)
    except FetchRefused as refused:
        # The name of one target is known to no resolver of this machine.
        seen = "refused" if refused.code in {"url_refused", "source_unreachable"} else refused.code
    return Row("source redirect", tried, "refused", seen)
