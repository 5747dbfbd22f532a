from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests

from pipeline.media.storyboard import parse_cues
from pipeline.media.tools import Tools
from tests import clips
from tests.integration.cli.conftest import khronika_process
from tests.running import RunningStack


def test_a_file_goes_in_and_a_playable_video_comes_out(
    running_stack: RunningStack, clip_folder: Path, tools: Tools
) -> None:
    env = {"KHRONIKA_HOME": str(running_stack.home.root)}
    clip = clips.widescreen(clip_folder, tools)

    sent = khronika_process("submit", clip, "--watch", "--json", env=env)
    told = khronika_process("status", sent.lines[-1]["asset"]["post_id"], env=env)

    assert (sent.code, told.code) == (0, 0), sent.out + running_stack.log("worker")
    asset = sent.lines[-1]["asset"]
    assert (asset["status"], asset["playable"], asset["owner_id"]) == ("completed", True, "demo")
    kinds = [line["event"]["type"] for line in sent.lines if "event" in line]
    assert kinds[0] == "created"
    assert kinds[-1] == "completed"
    assert asset["manifest_url"] in told.out


def test_a_signed_video_plays_by_its_owners_addresses_alone(
    running_stack: RunningStack, clip_folder: Path, tools: Tools
) -> None:
    env = {"KHRONIKA_HOME": str(running_stack.home.root)}
    clip = clips.portrait(clip_folder, tools)

    sent = khronika_process(
        *("submit", str(clip), "--playback", "signed", "--watch", "--json"), env=env
    )

    assert sent.code == 0, sent.out + running_stack.log("worker")
    asset = sent.lines[-1]["asset"]
    assert (asset["status"], asset["playback"]) == ("completed", "signed")
    master = read(asset["manifest_url"])
    base = master.url.rpartition("/")[0]
    rendition = next(line for line in master.text.splitlines() if line.endswith(".m3u8"))
    playlist = read(f"{base}/{rendition}").text
    segment = next(line for line in playlist.splitlines() if line.endswith(".m4s"))
    folder = rendition.rpartition("/")[0]
    cues = asset["storyboard_url"]
    told_cues = read(cues)
    sheet = urljoin(told_cues.url, parse_cues(told_cues.text)[0].uri)
    pictures = (asset["poster_url"], cues, sheet)
    for url in (f"{base}/{folder}/{segment}", asset["fallback_url"], *pictures):
        token = urlsplit(url).path.split("/")[2]
        assert read(url).status_code == 200
        assert read(url.replace(token, "public")).status_code == 404


def read(url: str) -> requests.Response:
    return requests.get(url, timeout=60)


def test_the_doctor_finds_a_running_stack_healthy(running_stack: RunningStack) -> None:
    ran = khronika_process("doctor", env={"KHRONIKA_HOME": str(running_stack.home.root)})

    assert ran.code == 0, ran.out
