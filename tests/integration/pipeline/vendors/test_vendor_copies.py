"""The move of a video whose original is gone, between two accounts of each vendor."""

from typing import Any

import pytest
import requests

from pipeline.domain.states import Status
from pipeline.domain.values import Phase, Playback
from pipeline.lifecycle.submit import submit
from pipeline.operations.move import Move, move_next
from pipeline.runtime.database import session_of
from tests.integration.pipeline.vendors.at_vendor import AtVendor
from tests.vendors.accounts import ACCOUNT, SPARE
from tests.vendors.fake import FakeVendor

pytestmark = pytest.mark.usefixtures("other")
SOURCE_MEMBERS = ("source", "input", "url")


def content_of_source(at_vendor: AtVendor, fake: FakeVendor, spec: dict[str, Any]) -> bytes:
    """The source of a submission, as the vendor reads it."""
    match fake.adapter:
        case "selfhosted":  # it reads our storage by keys
            storage, key = at_vendor.services.storage, spec["source"]["key"]
            return b"".join(storage.read(key, 0, storage.stat(key).size_bytes))
        case "mux":
            url = spec["inputs"][0]["url"]
        case "mediaconvert":
            url = spec["settings"]["inputs"][0]["fileInput"]
        case _:
            [url] = [spec[name] for name in SOURCE_MEMBERS if name in spec]
    return requests.get(url, timeout=5).content


@pytest.mark.parametrize("playback", list(Playback))
def test_a_video_without_its_original_moves_by_its_published_mp4(
    at_vendor: AtVendor, spare: AtVendor, playback: Playback
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    if playback is Playback.SIGNED and not at_vendor.able.signed_playback:
        pytest.skip("it cannot restrict playback")
    asset_id = at_vendor.submitted(playback)
    at_vendor.tell(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()
    published = world.asset(asset_id).manifest_url
    world.execute_past_triggers(
        "UPDATE video_assets SET upload_id = NULL, source_url = :gone, source_etag = NULL",
        gone=f"{at_vendor.api.url}/gone.mp4",
    )
    with session_of(at_vendor.services.engine) as session:
        move_next(
            at_vendor.services, session, Move(ACCOUNT, SPARE), after=None, actor="operator:ops"
        )

    assert submit(at_vendor.services, asset_id).result == "submitted"

    job = spare.job(asset_id)
    source = content_of_source(at_vendor, spare.fake, dict(job.spec))
    assert fake.outputs is not None
    assert source == (fake.outputs / "video.mp4").read_bytes()
    assert world.asset(asset_id).manifest_url == published
    spare.tell(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()
    done = world.asset(asset_id)
    assert (done.status, done.provider) == (Status.COMPLETED, SPARE)
    assert done.manifest_url != published
