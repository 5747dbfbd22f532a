"""Providers of video processing. ``load_providers`` builds each account's adapter."""

from collections.abc import Mapping

from pipeline.config.work_settings import CallbackSettings, ProviderSettings, SelfhostedSettings
from pipeline.domain.values import Profile
from pipeline.providers.base import Provider, Trust
from pipeline.providers.selfhosted import SelfHosted
from pipeline.runtime.filed_settings import SettingsInvalid


def load_providers(
    selfhosted: SelfhostedSettings, common: ProviderSettings, callbacks: CallbackSettings
) -> Mapping[str, Provider]:
    """Return the configured accounts by name.

    Raises:
        SettingsInvalid: a setting needs a capability that an account lacks.
    """
    providers: Mapping[str, Provider] = {
        "selfhosted": SelfHosted(
            name="selfhosted",
            url=str(selfhosted.url),
            token=selfhosted.token.get_secret_value(),
            timeout_sec=common.provider_timeout_sec,
            tolerance_sec=callbacks.tolerance_sec,
            trust=Trust(selfhosted.output_hosts, selfhosted.webhook_sources),
        )
    }
    refuse_uncapped(common.max_profile, providers)
    return providers


def refuse_uncapped(cap: Profile | None, providers: Mapping[str, Provider]) -> None:
    """Refuse a cap on renditions that an account ignores: its larger renditions would cost money.

    Raises:
        SettingsInvalid: with the names of the accounts.
    """
    uncapped = [name for name, each in providers.items() if not each.capabilities.caps_profile]
    if cap is not None and uncapped:
        raise SettingsInvalid(
            f"KHRONIKA_MAX_PROFILE is set, and these accounts ignore it: {', '.join(uncapped)}"
        )
