from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import AnyHttpUrl, SecretStr

from pipeline.config.media_settings import MediaUrlSettings
from pipeline.content.media_tokens import TokenRejected, verify_prefix
from pipeline.content.source import Source, url_for_provider
from pipeline.records.models import Attempt

KEY = "s" * 32
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
URLS = MediaUrlSettings.model_construct(
    public_url=AnyHttpUrl("https://video.example"),
    secret_key=SecretStr(KEY),
    token_expires_sec=3600,
)
SERVICES: Any = SimpleNamespace(settings=SimpleNamespace(media_urls=URLS))
ATTEMPT = Attempt(created_at=BEGAN)


def test_a_provider_may_read_the_source_and_nothing_that_lies_beside_it() -> None:
    url = url_for_provider(SERVICES, Source("original/ana/holiday.mp4", None, "ana"), ATTEMPT)
    token = url.removeprefix("https://video.example/media/").partition("/")[0]
    later = BEGAN + timedelta(minutes=59)

    verify_prefix(KEY, token, "original/ana/holiday.mp4", now=later)

    with pytest.raises(TokenRejected):
        verify_prefix(KEY, token, "original/ana/diary.mp4", now=later)
    with pytest.raises(TokenRejected):
        verify_prefix(KEY, token, "original/ana/holiday.mp4", now=BEGAN + timedelta(hours=1))


def test_a_remote_source_is_read_where_it_is() -> None:
    remote = "https://videos.example/holiday.mp4"

    assert url_for_provider(SERVICES, Source(None, remote, "ana"), ATTEMPT) == remote
