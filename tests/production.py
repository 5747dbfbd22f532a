"""Environments of a production that starts, for tests to spoil."""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir

from pipeline.config.groups import load_settings
from pipeline.process_settings import (
    ApiSettings,
    BeatSettings,
    FlowerSettings,
    OperatorSettings,
    WorkerSettings,
)
from transcoder.settings import load_settings as load_transcoder


def key_for(purpose: str) -> str:
    """32 bytes that look random, the same in each run."""
    return b64encode(sha256(purpose.encode()).digest()).decode().rstrip("=")


def webhook_secret_for(purpose: str) -> str:
    """A secret of Standard Webhooks that looks random."""
    return "whsec_" + b64encode(sha256(purpose.encode()).digest()).decode()


def _login(part: str) -> str:
    return (
        f"postgresql://khronika_{part}:{sha256(part.encode()).hexdigest()}"
        "@db.internal.example/khronika?sslmode=verify-full"
    )


PIPELINE: Mapping[str, str] = {
    **{
        f"KHRONIKA_{part.upper()}_DATABASE_URL": _login(part)
        for part in ("api", "worker", "operator", "public")
    },
    "BROKER_URL": f"rediss://:{sha256(b'broker').hexdigest()}@broker.internal.example/0",
    "STORAGE_URL": "s3://videos/post-videos?region=eu-central-1",
    "KHRONIKA_PUBLIC_URL": "https://video.site.example",
    "KHRONIKA_SECRET_KEY": key_for("urls"),
    "KHRONIKA_JWT_SECRET": key_for("tokens"),
    "KHRONIKA_JWT_ISSUER": "https://site.example",
    "KHRONIKA_JWT_AUDIENCE": "video",
    "KHRONIKA_POST_CLAIM": "required",
    "KHRONIKA_PROXIES": "1",
    "KHRONIKA_CORS_ORIGINS": "https://site.example",
    "KHRONIKA_INTERNAL_BIND": "10.0.0.5:9090",
    "KHRONIKA_SELFHOSTED_URL": "https://transcoder.internal.example",
    "KHRONIKA_SELFHOSTED_TOKEN": key_for("transcoder"),
    "KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS": webhook_secret_for("callbacks"),
}
"""Of API, worker, beat, Flower and the operators' commands together."""

TRANSCODER: Mapping[str, str] = {
    "BROKER_URL": PIPELINE["BROKER_URL"],
    "KHRONIKA_TRANSCODER_DATABASE_URL": _login("transcoder"),
    "KHRONIKA_TRANSCODER_TOKEN": key_for("transcoder"),
    "KHRONIKA_TRANSCODER_CALLBACK_URL": "https://video.site.example/callback",
    "KHRONIKA_TRANSCODER_CALLBACK_SECRETS": webhook_secret_for("callbacks"),
    "KHRONIKA_TRANSCODER_STORAGES": json.dumps({"default": Path(gettempdir()).as_uri()}),
    "KHRONIKA_TRANSCODER_SCRATCH": "/var/tmp/transcoder",
}

READERS: Mapping[str, tuple[Mapping[str, str], Callable[[], object]]] = {
    "web": (PIPELINE, lambda: load_settings(ApiSettings)),
    "worker": (PIPELINE, lambda: load_settings(WorkerSettings)),
    "beat": (PIPELINE, lambda: load_settings(BeatSettings)),
    "flower": (PIPELINE, lambda: load_settings(FlowerSettings)),
    "khronika": (PIPELINE, lambda: load_settings(OperatorSettings)),
    "transcoder": (TRANSCODER, load_transcoder),
}
"""Each process's environment, and the function that reads it."""
