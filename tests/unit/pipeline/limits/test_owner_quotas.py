"""Who is over a limit: decided from figures, the asset that is being registered included."""

from types import MappingProxyType
from typing import Any

import pytest

from pipeline.config.limit_settings import OwnerLimitSettings
from pipeline.domain.errors import LimitReached
from pipeline.limits.owner_quotas import IN_FLIGHT_RETRY_SEC, OwnerLoad, refuse_excess
from pipeline.records.models import Asset

UNLIMITED = MappingProxyType(
    {
        "max_live": 10,
        "daily_assets": None,
        "daily_bytes": None,
        "daily_media_sec": None,
    }
)
CHARGED = Asset(charged_bytes=100, charged_sec=10.0)
OWNER_LOAD = MappingProxyType(
    {
        "live_assets": 5,
        "day_assets": 5,
        "day_bytes": 500,
        "day_media_sec": 50.0,
        "resets_in_sec": 3600,
    }
)


def decide(limits: dict[str, Any], charged: Asset = CHARGED, **load: Any) -> str | None:
    """The code of the refusal and when to come again; None when there is room."""
    told = OwnerLimitSettings.model_construct(**{**UNLIMITED, **limits})
    try:
        refuse_excess(told, charged, OwnerLoad(**{**OWNER_LOAD, **load}))
    except LimitReached as refused:
        named = refused.extra.get("quota", refused.code)
        return f"{named} {refused.retry_after_sec}"
    return None


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        ({}, None),
        ({"max_live": 5}, None),
        ({"max_live": 4}, f"too_many_in_flight {IN_FLIGHT_RETRY_SEC}"),
        ({"daily_assets": 5}, None),
        ({"daily_assets": 4}, "assets 3600"),
        ({"daily_bytes": 500}, None),
        ({"daily_bytes": 499}, "bytes 3600"),
        ({"daily_media_sec": 50.0}, None),
        ({"daily_media_sec": 49.9}, "media_sec 3600"),
    ],
)
def test_a_limit_may_be_reached_and_not_passed(limits: dict[str, Any], refused: str | None) -> None:
    assert decide(limits) == refused


def test_what_nobody_has_measured_passes_only_while_something_is_left() -> None:
    unknown = Asset(charged_bytes=0, charged_sec=0.0)

    assert decide({"daily_bytes": 501}, unknown) is None
    assert decide({"daily_bytes": 500}, unknown) == "bytes 3600"
    assert decide({"daily_media_sec": 50.0}, unknown) == "media_sec 3600"
