"""The time from a vendor's callback to a video that plays, and to one that is completed.

`python -m bench.callback_time` sends videos one after the other through a whole stack with its
ordinary settings. A fake of the vendor's published contract, at the socket, ends each job and sends
its callbacks, so the figures hold our side alone: verification, inbox, the question to the vendor,
the gate and the publication.
"""

import argparse
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles

from bench.table import markdown_table, verdict
from pipeline.domain.values import Phase
from tests.acceptance.vendor_stage import VendorStage, open_vendor_stages
from tests.vendors.directed import VENDORS

TARGET_SEC = 1.0
TELLS_NO_END_OF_THE_MP4 = frozenset({"cloudflare_stream"})
"""Vendors of which a poll has to find the end; the target holds for their first playback."""


@dataclass(frozen=True)
class CallbackTime:
    """The seconds from the first callback of a finished job."""

    playable_sec: float
    completed_sec: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the time from callback to completed.")
    parser.add_argument("--videos", type=int, default=20)
    videos = parser.parse_args().videos
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="khronika-bench-") as folder:
        Path(folder).chmod(0o711)
        with open_vendor_stages(Path(folder), VENDORS, waits={}) as stages:
            times = {name: measure_all(at, videos) for name, at in stages.items()}
    print(time_table(times))


def measure_all(at: VendorStage, videos: int) -> list[CallbackTime]:
    """Measure one video after the other; the first warms up."""
    at.open()
    return [measure(at) for _ in range(videos + 1)][1:]


def measure(at: VendorStage) -> CallbackTime:
    video, _ = at.register("A measured video")
    sent = at.move(at.await_job(video), Phase.COMPLETED)
    asset = at.stage.await_end(video)
    assert asset["status"] == "completed", asset
    playable, completed = (
        (datetime.fromisoformat(asset[name]) - sent[0].sent_at).total_seconds()
        for name in ("playable_at", "completed_at")
    )
    return CallbackTime(playable, completed)


def time_table(times: dict[str, list[CallbackTime]]) -> str:
    """Return the table of docs/benchmarks.md."""
    return markdown_table(
        ("fake of", "playable, s, p50", "p95", "completed, s, p50", "p95", "target"),
        [_row(name, measured) for name, measured in times.items()],
    )


def _row(name: str, measured: Sequence[CallbackTime]) -> list[str]:
    playable = [each.playable_sec for each in measured]
    completed = [each.completed_sec for each in measured]
    judged = playable if name in TELLS_NO_END_OF_THE_MP4 else completed
    word = "playable" if name in TELLS_NO_END_OF_THE_MP4 else "completed"
    target = f"{word}, p95 < {TARGET_SEC:.0f} s: {verdict(met=_p95(judged) < TARGET_SEC)}"
    figures = (median(playable), _p95(playable), median(completed), _p95(completed))
    return [f"`{name}`", *(f"{figure:.2f}" for figure in figures), target]


def _p95(values: Sequence[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1]


if __name__ == "__main__":
    main()
