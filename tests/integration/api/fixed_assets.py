"""Videos of ids that are known when a module is read, so that tests can be parametrised by them."""

from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import text

from pipeline.content.media_tokens import TokenHolder
from pipeline.domain.states import Status
from pipeline.runtime.database import user_session
from tests.integration.api.conftest import OWNER, Client, World

PUBLISHED = UUID(int=1)
RESTRICTED = UUID(int=2)
STANDING_IN = UUID(int=3)
ATTEMPT = UUID(int=9)
FOLDER = f"processed/{PUBLISHED}/{ATTEMPT}"
LARGE = f"{FOLDER}/large.mp4"
"""Key of an object of ``LARGE_BYTES``, which no client takes in one piece."""
LARGE_BYTES = 50_000_000
PICTURES = f"posters/{PUBLISHED}/{ATTEMPT}"
PROTECTED_FOLDER = f"protected/processed/{RESTRICTED}/{ATTEMPT}"
SOURCE = "original/ana/post/upload/source.mp4"
SOURCE_HOLDER = TokenHolder(STANDING_IN)

REGISTER = text("""
    INSERT INTO video_assets (id, post_id, owner_id, source_url, playback, allow_original,
        max_attempts, provider, next_attempt_at, deadline_at, last_seq)
    VALUES (:id, :post_id, :owner_id, 'https://a.example/', :playback, :stands_in,
        5, 'selfhosted', now(), now() + interval '1 day', 0)
""")


def make_fixed_assets(api: Client, world: World) -> None:
    """Make a public and a signed video, both published, and one that failed and has its source."""
    _register(api, PUBLISHED)
    _register(api, RESTRICTED, playback="signed")
    _register(api, STANDING_IN, stands_in=True)
    world.complete(str(PUBLISHED), ATTEMPT)
    world.complete(str(RESTRICTED), ATTEMPT)
    world.move(str(STANDING_IN), Status.PROCESSING)
    world.fail(str(STANDING_IN))


def make_large_object(api: Client, world: World, storage: Path) -> None:
    """Make the fixed assets, and a large object of the public one.

    Args:
        storage: Root of the storage. The object is sparse: it takes no disk space.
    """
    make_fixed_assets(api, world)
    path = storage / LARGE
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(LARGE_BYTES)


def _register(
    api: Client, asset_id: UUID, *, playback: str = "public", stands_in: bool = False
) -> None:
    values = {"id": asset_id, "post_id": uuid4(), "playback": playback, "stands_in": stands_in}
    with user_session(api.services.engines.api, OWNER) as session:
        session.execute(REGISTER, {**values, "owner_id": OWNER})
