"""An account of our own transcoder, opened without the environment."""

from pipeline.config.account_settings import AccountName
from pipeline.domain.values import SourceFacts
from pipeline.providers.accounts import settings_class
from pipeline.providers.adapters.selfhosted import SelfHosted, Settings
from pipeline.providers.base import Opening

FACTS = SourceFacts(duration_sec=5.28, width=320, height=180, container="mp4", size_bytes=1000)
"""A small source."""


def selfhosted_account(
    url: str = "http://127.0.0.1:9", *, token: str = "token", timeout_sec: float = 1
) -> SelfHosted:
    """Open the account ``selfhosted`` at an address; nothing is called yet."""
    block = settings_class(AccountName("selfhosted", "selfhosted"), Settings)
    settings = block(url=url, token=token)
    return SelfHosted(Opening("selfhosted", settings, timeout_sec=timeout_sec, tolerance_sec=300))
