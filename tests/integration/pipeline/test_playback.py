"""What a signed video's attempts are told, and what is done with what they write."""

from uuid import UUID

from pipeline.domain.states import Status
from pipeline.domain.values import Playback
from pipeline.lifecycle.submit import submit
from pipeline.operations.purge import purge
from pipeline.providers.base import Capabilities
from tests.integration.pipeline.conftest import World


def spec_of(world: World, asset_id: UUID) -> dict[str, str]:
    output: dict[str, str] = world.provider.jobs[world.attempt_id(asset_id)]["spec"]["output"]
    return output


def test_a_signed_videos_outputs_are_ordered_to_the_protected_root(world: World) -> None:
    asset_id = world.create(playback=Playback.SIGNED)
    submit(world.services, asset_id)

    attempt_id = world.attempt_id(asset_id)
    output = spec_of(world, asset_id)
    assert output["prefix"] == f"protected/processed/{asset_id}/{attempt_id}"
    assert output["poster_prefix"] == f"protected/posters/{asset_id}/{attempt_id}"


def test_a_provider_that_cannot_keep_outputs_from_the_public_is_never_called(world: World) -> None:
    signed, public = world.create(playback=Playback.SIGNED), world.create()

    with world.capabilities(signed_playback=False):
        submit(world.services, signed)
        submit(world.services, public)

    asset = world.asset(signed)
    assert (asset.status, asset.hold_reason) == (Status.QUEUED, "no_account")
    assert asset.error_code is None
    assert world.provider.puts == [world.attempt_id(public)]


def test_no_provider_is_trusted_with_signed_outputs_unless_it_says_so() -> None:
    assert not Capabilities(idempotent_submit=True, margin_sec=5).signed_playback


def test_a_signed_videos_discarded_files_go_too(world: World) -> None:
    asset_id = world.create(playback=Playback.SIGNED)
    submit(world.services, asset_id)
    output, storage = spec_of(world, asset_id), world.services.storage
    for prefix in output["prefix"], output["poster_prefix"]:
        storage.write(f"{prefix}/file", [b"12345"])
    world.execute("UPDATE provider_attempts SET purge_at = now()")

    purged = purge(world.services)

    assert set(purged.prefixes) == {output["prefix"], output["poster_prefix"]}
    assert list(storage.list("protected")) == []
