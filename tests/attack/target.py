"""The stack that is attacked: the API in production, with the example environment, on loopback."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import jwt
import redis
import requests

from cli.database_logins import ROLES, login_url
from pipeline.runtime.database import make_engine
from stack.credentials import load_credentials
from tests.integration.api.conftest import World
from tests.integration.api.test_playback import FILES, PICTURES
from tests.integration.stack.procfile_runs import WEB, has_started, starting_processes
from tests.integration.stack.production_examples import ProductionExamples
from tests.production import key_for
from tests.shared_run import Databases, migrated_template, new_home, servers_in

PATIENCE_SEC = 180.0
OWNER, STRANGER = "ana", "boris"
SITE = "https://video.site.example"
STABLE = ("manifest_url", "fallback_url", "poster_url", "storyboard_url")


@dataclass(frozen=True)
class Target:
    """A running stack, as its attackers and its victims see it.

    Attributes:
        folder: Its state, secrets and logs.
        url: Of the API.
        examples: The environment of each process.
        logins: Of the database, by part; ``admin`` is a superuser.
        broker_url: The address of the broker.
        world: The worker's hand on the rows.
    """

    folder: Path
    url: str
    examples: ProductionExamples
    logins: Mapping[str, str]
    broker_url: str
    world: World

    def call(
        self, method: str, path: str, *, owner: str | None = None, **options: Any
    ) -> requests.Response:
        """Send a request, as an owner or as nobody."""
        headers = dict(options.pop("headers", {}))
        if owner:
            headers["Authorization"] = f"Bearer {self.token(owner, options.pop('post_id', None))}"
        return requests.request(
            method,
            self.url + path.removeprefix(SITE),
            headers=headers,
            timeout=PATIENCE_SEC,
            allow_redirects=False,
            **options,
        )

    def token(self, owner: str, post_id: str | None = None) -> str:
        """Make a token as the site's issuer does."""
        claims = {
            "sub": owner,
            "iss": "https://site.example",
            "aud": "video",
            "exp": int(time.time()) + 3600,
            "role": "authenticated",
            "post_id": post_id,
        }
        return jwt.encode(claims, key_for("jwt_secret"), algorithm="HS256")

    def create(self, **body: Any) -> requests.Response:
        """Register a video of the owner."""
        post_id = str(uuid4())
        wanted = {"post_id": post_id, "source_url": "https://videos.example/a.mp4", **body}
        path = "/api/video-assets/create"
        return self.call("POST", path, owner=OWNER, post_id=post_id, json=wanted)

    def publish(self, playback: str) -> dict[str, Any]:
        """Make a completed video with files behind every address, as its owner sees it."""
        asset = self.create(playback=playback).json()
        row = self.world.complete(asset["id"])
        for address, files in ((row.manifest_url, FILES), (row.poster_url, PICTURES)):
            folder = str(address).removeprefix("storage:").rpartition("/")[0]
            for name, content in files.items():
                file = self.folder / "production" / "state" / "post-videos" / folder / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        path = f"/api/video-assets/{asset['post_id']}"
        shown: dict[str, Any] = self.call("GET", path, owner=OWNER).json()
        return shown

    @contextmanager
    def process(
        self, name: str, changes: Mapping[str, str] | None = None
    ) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        """Run a process of the Procfile in production, and yield it with its log."""
        log = self.folder / f"{name}-{uuid4().hex[:6]}.log"
        with starting_processes(log) as start:
            yield start(name, {**self.examples(name), **(changes or {})}), log


def became_so(holds: Callable[[], bool], *, by: float = PATIENCE_SEC) -> bool:
    """Wait until something holds; False if it does not."""
    deadline = time.monotonic() + by
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def running_target() -> Iterator[Target]:
    """Start servers, a migrated database and the API for the length of the block."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="khronika-attack-")))
        home = stack.enter_context(new_home())
        servers = stack.enter_context(servers_in(home))
        credentials = load_credentials(home)
        databases = Databases.of(servers)
        template = stack.enter_context(migrated_template(databases, credentials))
        name = "khronika_attack"
        owner_url = stack.enter_context(databases.lent(name, template=template))
        logins = {"admin": databases.admin_url_of(name), "owner": owner_url} | {
            part: login_url(owner_url, role, credentials[f"{part}_password"])
            for part, role in ROLES.items()
        }
        worker, superuser = make_engine(logins["worker"]), make_engine(logins["admin"])
        stack.callback(worker.dispose)
        stack.callback(superuser.dispose)
        examples = ProductionExamples(folder / "production", logins, servers.broker_url)
        url = f"http://{examples('web')[WEB]}"
        target = Target(folder, url, examples, logins, servers.broker_url, World(worker, superuser))
        with closing(redis.Redis.from_url(servers.broker_url)) as broker:
            broker.flushdb()
        web, log = stack.enter_context(target.process("web"))
        assert became_so(lambda: has_started("web", web, examples("web"), log)), log.read_text()
        yield target
