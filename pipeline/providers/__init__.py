"""Who processes video. ``load_providers`` is where an account's settings meet its adapter."""

from collections.abc import Mapping

from pipeline.providers.base import Provider, Trust
from pipeline.providers.selfhosted import SelfHosted
from pipeline.settings import Settings


def load_providers(settings: Settings) -> Mapping[str, Provider]:
    """Every configured account by its name."""
    return {
        "selfhosted": SelfHosted(
            name="selfhosted",
            url=str(settings.selfhosted_url),
            token=settings.selfhosted_token.get_secret_value(),
            timeout_sec=settings.provider_timeout_sec,
            tolerance_sec=settings.callback_tolerance_sec,
            trust=Trust(settings.selfhosted_output_hosts, settings.selfhosted_webhook_sources),
        )
    }
