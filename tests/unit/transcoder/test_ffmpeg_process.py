import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.media.confinement import GIB, MIB, NO_FILES, Confinement, Reach
from transcoder.encode.encode_errors import EncodeCancelled, EncodeFailed
from transcoder.encode.ffmpeg_process import FfmpegResult, run_watched
from transcoder.encode.ffmpeg_progress import FfmpegProgress

REPORT = "print('out_time_us=1000000\\nprogress=continue', flush=True)"
PYTHON = os.path.realpath(sys.executable)
AMPLE = Confinement(memory_bytes=GIB, cpu_sec=60, file_bytes=MIB)


def run(script: str, *, stall_sec: float = 60, cancel_after: int = 1_000_000) -> FfmpegResult:
    asked: Iterator[int] = iter(range(cancel_after))
    return run_watched(
        [PYTHON, "-c", script],
        AMPLE,
        NO_FILES,
        on_progress=lambda _: None,
        cancelled=lambda: next(asked, None) is None,
        stall_sec=stall_sec,
    )


def test_progress_is_passed_on_and_the_end_described() -> None:
    seen: list[FfmpegProgress] = []
    done = run_watched(
        [PYTHON, "-c", f"import sys; {REPORT}; sys.exit(3)"],
        AMPLE,
        NO_FILES,
        on_progress=seen.append,
        cancelled=lambda: False,
        stall_sec=60,
    )
    assert seen == [FfmpegProgress(1.0, ended=False)]
    assert (done.returncode, done.out_time_sec) == (3, 1.0)


def test_a_flood_of_complaints_neither_blocks_nor_fills_the_memory() -> None:
    done = run("import sys; sys.stderr.write('x' * 5_000_000 + 'the end')")
    assert done.returncode == 0
    assert done.stderr.endswith("the end")
    assert len(done.stderr) < 20_000


def test_a_process_that_reports_but_gets_nowhere_is_stalled() -> None:
    with pytest.raises(EncodeFailed) as failure:
        run(f"import time\nwhile True: {REPORT}; time.sleep(0.05)", stall_sec=0.5)
    assert (failure.value.code, failure.value.retryable) == ("stalled", True)


def test_a_process_that_says_nothing_is_stalled() -> None:
    with pytest.raises(EncodeFailed) as failure:
        run("import time; time.sleep(60)", stall_sec=0.5)
    assert failure.value.code == "stalled"


DEAF_AND_DUMB = "import os, time; os.close(1); os.close(2); time.sleep(10)"


def test_a_process_that_closes_its_output_and_stays_is_stalled() -> None:
    with pytest.raises(EncodeFailed) as failure:
        run(DEAF_AND_DUMB, stall_sec=0.5)
    assert failure.value.code == "stalled"


def test_a_process_that_closes_its_output_and_stays_is_cancelled() -> None:
    with pytest.raises(EncodeCancelled):
        run(DEAF_AND_DUMB, cancel_after=3)


def test_cancelling_kills_the_process(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(EncodeCancelled):
        run_watched(
            [PYTHON, "-c", script],
            AMPLE,
            Reach(writes=tmp_path),
            on_progress=lambda _: None,
            cancelled=lambda: note.exists() and note.stat().st_size > 0,
            stall_sec=60,
        )
    assert processes_of(int(note.read_text())) == []


def processes_of(group: int) -> list[int]:
    """Living members of a process group; a killed child waits for init to reap it."""
    living = []
    for entry in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        try:
            with open(f"/proc/{entry}/stat") as stat:  # noqa: PTH123
                state, _, member_of = stat.read().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(member_of) == group and state != "Z":
            living.append(int(entry))
    return living


PARENT = """
import time
from pipeline.media.confinement import NO_FILES, SCAN
from transcoder.encode.ffmpeg_process import ProcessGroup
with ProcessGroup(["sleep", "60"], SCAN, NO_FILES) as group:
    print(group._process.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_child_that_hears_nothing_of_its_parents_death_dies_all_the_same() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert processes_of(child) == [child]
        parent.kill()
    deadline = time.monotonic() + 20
    while processes_of(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)
