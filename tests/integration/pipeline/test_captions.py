"""Captions in a manifest: players get it as it is, and the row of the outputs lists them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from pipeline.content.gate import MAX_CAPTIONS, GateUnavailable
from pipeline.domain.decide import GateResult
from pipeline.domain.states import Status
from pipeline.domain.values import Caption
from pipeline.lifecycle.poll import poll
from pipeline.operations.move import Move, move_next, preview_move
from pipeline.records.models import Output
from pipeline.runtime.database import session_of
from tests.integration.pipeline.conftest import World
from tests.integration.pipeline.test_gate import complete, judge, outputs
from tests.vendors.outputs import with_captions

PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:5.28,\nen.vtt\n#EXT-X-ENDLIST\n"
WEBVTT = "WEBVTT\n\n00:00.000 --> 00:02.000\nA walk.\n"


@pytest.fixture
def captioned(world: World) -> str:
    """The address of a manifest that offers captions."""
    write(world, {"captions.m3u8": PLAYLIST, "en.vtt": WEBVTT})
    master = (world.provider.folder / "master.m3u8").read_text()
    (world.provider.folder / "captioned.m3u8").write_text(with_captions(master))
    return f"{world.provider.url}/out/captioned.m3u8"


def write(world: World, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (world.provider.folder / name).write_text(text)


def offer(world: World, captioned: str, names: Iterable[str]) -> None:
    """Let the manifest offer these captions in place of its own."""
    path = world.provider.folder / captioned.rpartition("/")[2]
    [line] = [each for each in path.read_text().splitlines() if "TYPE=SUBTITLES" in each]
    lines = (line.replace('NAME="English"', name) for name in names)
    path.write_text(path.read_text().replace(line, "\n".join(lines)))


def test_captions_are_listed_with_language_and_label(world: World, captioned: str) -> None:
    asset = world.asset(complete(world, manifest=captioned))

    assert (asset.status, asset.manifest_url) == (Status.COMPLETED, captioned)
    with session_of(world.services.engine) as session:
        published = session.get_one(Output, asset.published_output_id)
    assert published.captions == [{"label": "English", "language": "en"}]
    assert world.chronicle(asset.id)[-1].detail["captions"] == published.captions


def test_a_manifest_without_captions_lists_none(world: World) -> None:
    asset = world.asset(complete(world))

    with session_of(world.services.engine) as session:
        assert session.get_one(Output, asset.published_output_id).captions == []
    assert "captions" not in world.chronicle(asset.id)[-1].detail


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"en.vtt": "<html>"}, "English: It does not begin with WEBVTT."),
        ({"captions.m3u8": "<html>"}, "English: It does not begin with #EXTM3U."),
        (
            {"captions.m3u8": PLAYLIST.replace("en", "missing")},
            "English: unreadable: source_unreachable",
        ),
    ],
    ids=["no webvtt", "no playlist", "missing"],
)
def test_faulty_captions_are_not_listed_and_the_video_plays(
    world: World, captioned: str, files: Mapping[str, str], fault: str
) -> None:
    write(world, files)

    verdict = judge(world, outputs(world, manifest_url="captioned.m3u8"))

    assert verdict.result is GateResult.PASSED
    assert (verdict.captions, verdict.captions_fault) == ((), fault)
    asset = world.asset(complete(world, manifest=captioned))
    assert world.chronicle(asset.id)[-1].detail["captions_left_out"] == fault


@pytest.mark.usefixtures("captioned")
def test_captions_that_lead_away_misplace_the_outputs(world: World) -> None:
    write(world, {"captions.m3u8": PLAYLIST.replace("en.vtt", "http://127.0.0.9/en.vtt")})

    verdict = judge(world, outputs(world, manifest_url="captioned.m3u8"))

    assert verdict.result is GateResult.MISPLACED
    assert verdict.rule == "'http://127.0.0.9/en.vtt' leads away"


@pytest.mark.parametrize("name", ["captions.m3u8", "en.vtt"])
def test_captions_that_cannot_be_read_now_are_waited_for(
    world: World, captioned: str, name: str
) -> None:
    path = world.provider.folder / captioned.rpartition("/")[2]
    files = {path.name: path.read_text(), "captions.m3u8": PLAYLIST}
    silent = {key: text.replace(name, f"http://127.0.0.1:9/{name}") for key, text in files.items()}
    write(world, silent)

    with pytest.raises(GateUnavailable, match="source_unreachable"):
        judge(world, outputs(world, manifest_url="captioned.m3u8"))
    asset_id = complete(world, manifest=captioned)
    assert world.asset(asset_id).status is Status.PROCESSING

    write(world, files)
    world.make_past(asset_id, "next_poll_at")
    assert poll(world.services, asset_id).result == "completed"
    [completed] = [each for each in world.chronicle(asset_id) if each.type == "completed"]
    assert completed.detail["captions"] == [{"label": "English", "language": "en"}]
    assert "captions_left_out" not in completed.detail


def test_of_many_captions_the_first_are_listed_and_the_rest_is_named(
    world: World, captioned: str
) -> None:
    offer(world, captioned, (f'NAME="Track {number}"' for number in range(1, MAX_CAPTIONS + 3)))

    asset = world.asset(complete(world, manifest=captioned))

    assert asset.status is Status.COMPLETED
    completed = world.chronicle(asset.id)[-1].detail
    assert [each["label"] for each in completed["captions"]] == [
        f"Track {number}" for number in range(1, MAX_CAPTIONS + 1)
    ]
    assert completed["captions_left_out"] == "2 more than 100 are not checked"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({'NAME="English",': ""}, ": without a name or an address"),
        ({',URI="captions.m3u8"': ""}, "English: without a name or an address"),
        ({'"captions.m3u8"': '""'}, "English: without a name or an address"),
    ],
    ids=["no name", "no address", "empty address"],
)
def test_captions_that_players_pass_over_prevent_no_video(
    world: World, captioned: str, changes: Mapping[str, str], fault: str
) -> None:
    path = world.provider.folder / captioned.rpartition("/")[2]
    for old, new in changes.items():
        path.write_text(path.read_text().replace(old, new))

    verdict = judge(world, outputs(world, manifest_url="captioned.m3u8"))

    assert (verdict.result, verdict.captions, verdict.captions_fault) == (
        GateResult.PASSED,
        (),
        fault,
    )


def test_every_faulty_caption_is_named(world: World, captioned: str) -> None:
    offer(world, captioned, ['NAME="One"', 'NAME="Two"'])
    write(world, {"en.vtt": "<html>"})

    verdict = judge(world, outputs(world, manifest_url="captioned.m3u8"))

    wrong = "It does not begin with WEBVTT."
    assert verdict.captions_fault == f"One: {wrong}; Two: {wrong}"


def test_a_video_whose_captions_are_faulty_does_not_lose_them_by_a_move(
    world: World, captioned: str
) -> None:
    write(world, {"en.vtt": "<html>"})
    asset_id = complete(world, manifest=captioned)
    providers = world.services.providers
    services = replace(world.services, providers={**providers, "new": providers["selfhosted"]})
    move = Move("selfhosted", "new")

    with session_of(services.engine) as session:
        step = move_next(services, session, move, after=None, actor="operator:ops")
        found = preview_move(session, move, {})

    assert (step.asset_id, step.reason, found.captioned) == (asset_id, "has_captions", 1)
    without = replace(move, without_captions=True)
    with session_of(services.engine) as session:
        step = move_next(services, session, without, after=None, actor="operator:ops")
    assert (step.asset_id, step.reason) == (asset_id, None)


def test_captions_beside_others_are_listed(world: World, captioned: str) -> None:
    path = world.provider.folder / captioned.rpartition("/")[2]
    [line] = [each for each in path.read_text().splitlines() if "TYPE=SUBTITLES" in each]
    other = line.replace("English", "Deutsch").replace('"en"', '"de"')
    unnamed = line.replace("English", "Other").replace('LANGUAGE="en",', "")
    path.write_text(path.read_text().replace(line, f"{line}\n{other}\n{unnamed}"))

    verdict = judge(world, outputs(world, manifest_url="captioned.m3u8"))

    expected = (Caption("English", "en"), Caption("Deutsch", "de"), Caption("Other"))
    assert verdict.captions == expected
