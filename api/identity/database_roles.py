"""The database roles of the API, each with its engine."""

from dataclasses import dataclass

from sqlalchemy import Engine

from pipeline.config.settings import Settings
from pipeline.runtime.database import LOCK_WAIT_MS, make_engine


@dataclass(frozen=True)
class Engines:
    """One engine for each role; no role has the rights of another."""

    api: Engine
    operator: Engine
    public: Engine

    def close(self) -> None:
        """Close every connection."""
        for engine in (self.api, self.operator, self.public):
            engine.dispose()


def make_engines(settings: Settings) -> Engines:
    """Return the engines of the configured roles; none is connected yet."""
    return Engines(
        api=_engine(settings.api_database_url.get_secret_value(), settings, "api"),
        # An owner's session sets this bound itself; a callback may wait for its own duplicate.
        operator=_engine(
            settings.operator_database_url.get_secret_value(),
            settings,
            "operator",
            lock_wait_ms=LOCK_WAIT_MS,
        ),
        public=_engine(settings.public_database_url.get_secret_value(), settings, "public"),
    )


def _engine(url: str, settings: Settings, role: str, lock_wait_ms: int = 0) -> Engine:
    return make_engine(
        url,
        pool_size=settings.database_pool_size,
        name=f"khronika {role}",
        lock_wait_ms=lock_wait_ms,
    )
