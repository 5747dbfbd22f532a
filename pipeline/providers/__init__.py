"""Who processes video. ``load_providers`` is where an account's settings meet its adapter."""

from collections.abc import Mapping

from pipeline.config.settings import Settings
from pipeline.providers.base import Provider, Trust
from pipeline.providers.selfhosted import SelfHosted
from pipeline.runtime.filed_settings import SettingsInvalid


def load_providers(settings: Settings) -> Mapping[str, Provider]:
    """Every configured account by its name.

    Raises:
        SettingsInvalid: what is set is more than an account can do.
    """
    providers: Mapping[str, Provider] = {
        "selfhosted": SelfHosted(
            name="selfhosted",
            url=str(settings.selfhosted_url),
            token=settings.selfhosted_token.get_secret_value(),
            timeout_sec=settings.provider_timeout_sec,
            tolerance_sec=settings.callback_tolerance_sec,
            trust=Trust(settings.selfhosted_output_hosts, settings.selfhosted_webhook_sources),
        )
    }
    refuse_uncapped(settings, providers)
    return providers


def refuse_uncapped(settings: Settings, providers: Mapping[str, Provider]) -> None:
    """Refuse a cap on renditions that an account would not keep to: it would cost in silence.

    Raises:
        SettingsInvalid: naming the accounts.
    """
    deaf = [name for name, each in providers.items() if not each.capabilities.caps_profile]
    if settings.max_profile is not None and deaf:
        raise SettingsInvalid(
            f"KHRONIKA_MAX_PROFILE is set, and these accounts keep to no cap: {', '.join(deaf)}"
        )
