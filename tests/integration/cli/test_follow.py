"""Following a video while it changes, and while the API goes away."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import UUID

import pytest

from cli.api_requests import ApiProblem, ApiUnreachable
from cli.client import ApiClient
from cli.follow import Update, follow
from pipeline.domain.states import Status
from tests.integration.api.conftest import SOURCE, Client, World, token

Step = Callable[[], Any]


@pytest.fixture
def client(api: Client) -> Iterator[ApiClient]:
    with ApiClient(api.url, token("ana")) as client:
        yield client


def create(client: ApiClient) -> tuple[UUID, str]:
    post_id = UUID("11111111-1111-4111-8111-111111111111")
    return post_id, client.create(post_id, source_url=SOURCE)["id"]


def followed(client: ApiClient, post_id: UUID, steps: list[Step]) -> list[Update]:
    """Follow the video, and make the next step in place of each pause."""
    return list(follow(client, post_id, pause=lambda _: steps.pop(0)()))


def test_each_change_is_one_update_and_the_last_one_settles(
    client: ApiClient, world: World
) -> None:
    post_id, asset_id = create(client)
    steps: list[Step] = [
        lambda: world.move(asset_id, Status.PROCESSING, attempt=1),
        lambda: None,
        lambda: world.amend(asset_id, progress=40.0),
        lambda: world.fail(asset_id),
    ]

    updates = followed(client, post_id, steps)

    seen = [(u.asset["status"], u.asset["progress"], [e["seq"] for e in u.events]) for u in updates]
    assert seen == [
        ("queued", None, [1]),
        ("processing", None, [2]),
        ("processing", 40.0, []),
        ("failed", None, [3]),
    ]
    assert [update.is_last for update in updates] == [False, False, False, True]
    assert steps == []


def test_events_known_already_are_not_told_again(client: ApiClient, world: World) -> None:
    post_id, asset_id = create(client)
    world.fail(asset_id)

    [update] = follow(client, post_id, after=1)

    assert [event["seq"] for event in update.events] == [2]


def test_a_post_that_is_not_there_is_not_waited_for(client: ApiClient) -> None:
    with pytest.raises(ApiProblem) as refused:
        next(follow(client, UUID(int=7)))

    assert refused.value.code == "post_not_found"


class Away(BaseHTTPRequestHandler):
    """A server that answers once as the API, then as a proxy whose API is away."""

    answers: list[bytes]

    def do_GET(self) -> None:
        body = self.answers.pop(0) if self.answers else b"<h1>Bad gateway</h1>"
        self.send_response(200 if body.startswith(b"{") else 502)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def proxy() -> Iterator[str]:
    Away.answers = [b'{"status": "queued"}', b'{"events": [], "next_after": null}']
    with ThreadingHTTPServer(("127.0.0.1", 0), Away) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_api_that_goes_away_is_waited_for_and_then_given_up(proxy: str) -> None:
    pauses: list[float] = []
    with ApiClient(proxy, "t") as client:
        updates = follow(
            client,
            UUID(int=7),
            poll_interval_sec=1,
            give_up_sec=60,
            pause=pauses.append,
            clock=lambda: float(len(pauses)),
        )

        assert next(updates).asset == {"status": "queued"}
        with pytest.raises(ApiProblem) as gone:
            next(updates)

    assert (gone.value.status, gone.value.code) == (502, "not_our_api")
    assert len(pauses) == 61


def test_where_nothing_ever_answered_there_is_no_waiting() -> None:
    with ApiClient("http://127.0.0.1:9", "t") as client, pytest.raises(ApiUnreachable) as away:
        next(follow(client, UUID(int=7)))

    assert away.value.refused
