"""A video that was deleted, cancelled or made signed, asked for at every address it ever had."""

from collections.abc import Mapping
from typing import Any

import psycopg

from tests.attack.rows import Row
from tests.attack.target import OWNER, STABLE, Target
from tests.integration.api.test_playback import FILES


def attack(target: Target) -> list[Row]:
    """Keep every address of a video, withdraw it, and ask all of them again."""
    rows = []
    for playback in ("public", "signed"):
        asset = target.publish(playback)
        rows += _withdraw(target, asset, f"delete a {playback} video", "DELETE", "")
    asset = target.publish("public")
    urls = addresses(target, asset)
    target.world.amend(asset["id"], playback="signed")
    rows.append(Row("withdrawn video", "make it signed", "404", statuses(target, urls)))
    asset = target.publish("public")
    _go_back(target, asset["id"])
    return rows + _withdraw(target, asset, "cancel in progress", "POST", "/cancel")


def _go_back(target: Target, asset_id: str) -> None:
    """Put a video back into progress, with its first outputs published."""
    with psycopg.connect(target.logins["admin"], autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            "UPDATE video_assets SET status = 'processing', attempt_id = gen_random_uuid(),"
            " deadline_at = now() + '1 hour'::interval, completed_at = NULL WHERE id = %s",
            [asset_id],
        )
        admin.execute(
            "INSERT INTO provider_attempts (id, asset_id, generation, number, provider)"
            " SELECT attempt_id, id, generation, 1, 'selfhosted' FROM video_assets WHERE id = %s",
            [asset_id],
        )
        admin.execute(
            "INSERT INTO video_outputs (id, asset_id, generation, attempt_id, manifest_url,"
            " renditions, duration_sec, width, height, published_at)"
            " SELECT published_output_id, id, generation, attempt_id, manifest_url, '[]', 1, 2, 2,"
            " now() FROM video_assets WHERE id = %s",
            [asset_id],
        )


def _withdraw(
    target: Target, asset: Mapping[str, Any], tried: str, method: str, verb: str
) -> list[Row]:
    urls = addresses(target, asset)
    before = statuses(target, urls)
    target.call(method, f"/api/video-assets/{asset['post_id']}{verb}", owner=OWNER)
    return [
        Row("withdrawn video", f"{tried}: {len(urls)} addresses before", "200 206", before),
        Row("withdrawn video", f"{tried}: after", "404", statuses(target, urls)),
    ]


def addresses(target: Target, asset: Mapping[str, Any]) -> list[str]:
    """Return the stable addresses, those they lead to, and all files below the manifest."""
    stable = [asset[name] for name in STABLE]
    final = [_end_of(target, url) for url in stable]
    below = [f"{final[0].rpartition('/')[0]}/{name}" for name in FILES]
    return list(dict.fromkeys([*stable, *final, *below]))


def _end_of(target: Target, url: str) -> str:
    location = target.call("GET", url).headers.get("Location")
    return _end_of(target, location) if location else url


def statuses(target: Target, urls: list[str]) -> str:
    """Return the statuses of the last answers to a GET, a HEAD and a part of each."""
    found = set()
    for url in urls:
        for method, headers in (("GET", {}), ("HEAD", {}), ("GET", {"Range": "bytes=0-0"})):
            path = url.removeprefix(target.url)
            answer = target.call(method, path, headers=headers)
            while answer.is_redirect:
                answer = target.call(method, answer.headers["Location"], headers=headers)
            found.add(answer.status_code)
    return " ".join(map(str, sorted(found)))
