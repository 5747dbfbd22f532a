"""Who processes video. ``load_providers`` is where an account's settings meet its adapter."""

from collections.abc import Mapping

from pipeline.config.work_settings import CallbackSettings, ProviderSettings, SelfhostedSettings
from pipeline.domain.values import Profile
from pipeline.providers.base import Provider, Trust
from pipeline.providers.selfhosted import SelfHosted
from pipeline.runtime.filed_settings import SettingsInvalid


def load_providers(
    selfhosted: SelfhostedSettings, common: ProviderSettings, callbacks: CallbackSettings
) -> Mapping[str, Provider]:
    """Every configured account by its name.

    Raises:
        SettingsInvalid: what is set is more than an account can do.
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
    """Refuse a cap on renditions that an account would not keep to: it would cost in silence.

    Raises:
        SettingsInvalid: naming the accounts.
    """
    deaf = [name for name, each in providers.items() if not each.capabilities.caps_profile]
    if cap is not None and deaf:
        raise SettingsInvalid(
            f"KHRONIKA_MAX_PROFILE is set, and these accounts keep to no cap: {', '.join(deaf)}"
        )
