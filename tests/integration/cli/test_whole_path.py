from tests.integration.cli.conftest import khronika_process
from tests.running import RunningStack

CLIP = "tests/media/big-buck-bunny-720p-5s.mp4"


def test_a_file_goes_in_and_a_playable_video_comes_out(running_stack: RunningStack) -> None:
    env = {"KHRONIKA_HOME": str(running_stack.home.root)}

    sent = khronika_process("submit", CLIP, "--watch", "--json", env=env)
    told = khronika_process("status", sent.lines[-1]["asset"]["post_id"], env=env)

    assert (sent.code, told.code) == (0, 0), sent.out + running_stack.log("worker")
    asset = sent.lines[-1]["asset"]
    assert (asset["status"], asset["playable"], asset["owner_id"]) == ("completed", True, "demo")
    kinds = [line["event"]["type"] for line in sent.lines if "event" in line]
    assert kinds[0] == "created"
    assert kinds[-1] == "completed"
    assert asset["manifest_url"] in told.out


def test_the_doctor_finds_a_running_stack_healthy(running_stack: RunningStack) -> None:
    ran = khronika_process("doctor", env={"KHRONIKA_HOME": str(running_stack.home.root)})

    assert ran.code == 0, ran.out
