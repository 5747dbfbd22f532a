"""Captions in a manifest: players get it as it is, and the row of the outputs lists them."""

from collections.abc import Mapping

import pytest

from pipeline.domain.decide import GateResult
from pipeline.domain.states import Status
from pipeline.domain.values import Caption
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


def test_captions_beside_others_are_listed(world: World, captioned: str) -> None:
    path = world.provider.folder / captioned.rpartition("/")[2]
    [line] = [each for each in path.read_text().splitlines() if "TYPE=SUBTITLES" in each]
    other = line.replace("English", "Deutsch").replace('"en"', '"de"')
    unnamed = line.replace("English", "Other").replace('LANGUAGE="en",', "")
    path.write_text(path.read_text().replace(line, f"{line}\n{other}\n{unnamed}"))

    verdict = judge(world, outputs(world, manifest_url="captioned.m3u8"))

    expected = (Caption("English", "en"), Caption("Deutsch", "de"), Caption("Other"))
    assert verdict.captions == expected
