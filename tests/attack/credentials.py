"""Credentials that rest in rows, in the broker, in logs and in files."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import redis

from tests.acceptance.test_no_live_credential import API_KEY, JWT, MEDIA
from tests.attack.rows import Row
from tests.attack.target import Target


def attack(target: Target) -> list[Row]:
    """Search all that the run has left for secrets and for whatever opens something."""
    secrets = _secrets(target.folder / "production" / "secrets")
    places: dict[str, list[str]] = {"rows": [], "broker": [], "logs": [], "files": []}
    for place, text in _everything(target):
        found = [name for name, secret in secrets.items() if secret in text]
        found += ["API key"] * len(API_KEY.findall(text)) + ["token"] * len(JWT.findall(text))
        opened = [path for path in set(MEDIA.findall(text)) if target.call("GET", path).ok]
        places[place] += found + ["address"] * len(opened)
    return [
        Row("credentials at rest", place, "none", ", ".join(sorted(set(found))) or "none")
        for place, found in places.items()
    ]


def _secrets(folder: Path) -> dict[str, str]:
    texts = {path.name: path.read_text().strip() for path in folder.iterdir()}
    return {
        name: text.rpartition("@")[0].rpartition(":")[2] if "://" in text else text
        for name, text in texts.items()
    }


def _everything(target: Target) -> Iterator[tuple[str, str]]:
    with psycopg.connect(target.logins["admin"]) as admin:
        tables = admin.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace IN ('public'::regnamespace, to_regnamespace('transcoder'))"
        ).fetchall()
        for (table,) in tables:
            for (row,) in admin.execute(f"SELECT t::text FROM {table} t".encode()):
                yield "rows", row
    with closing(redis.Redis.from_url(target.broker_url)) as broker:
        for key in broker.scan_iter("*"):
            yield "broker", f"{key!r}{broker.dump(key)!r}"
    for log in target.folder.glob("*.log"):
        yield "logs", log.read_text(errors="replace")
    for path in (target.folder / "production" / "state").rglob("*"):
        if path.is_file():
            yield "files", path.read_bytes().decode(errors="replace")
