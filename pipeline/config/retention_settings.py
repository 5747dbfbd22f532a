"""Settings of the time for which records about persons and providers are kept."""

from pydantic import Field

from pipeline.config.groups import SettingsGroup


class RetentionSettings(SettingsGroup):
    """The time for which records are kept. The hourly maintenance removes older ones."""

    keep_callback_bodies_days: int = Field(30, ge=1, le=36500)
    """Days that headers, body and query of a settled callback are kept. Its id, digest and result
    stay, so that a callback that is sent again is still known."""
    keep_addresses_days: int = Field(90, ge=1, le=36500)
    """Days that the audit keeps the address of a client."""
    keep_audit_days: int = Field(730, ge=30, le=36500)
    """Days that the audit keeps an event. The database refuses to remove younger ones than 30."""
