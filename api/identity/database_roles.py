"""The database roles of the API, each with its engine."""

from dataclasses import dataclass
from http import HTTPStatus

from sqlalchemy import Engine

from api.http.problems import Problem
from pipeline.process_settings import ApiSettings
from pipeline.runtime.database import LOCK_WAIT_MS, make_engine


@dataclass(frozen=True)
class Engines:
    """One engine for each role; no role has the rights of another.

    Attributes:
        operator_login: The operators'; None where this API is given no login of theirs.
    """

    api: Engine
    public: Engine
    operator_login: Engine | None

    @property
    def operator(self) -> Engine:
        """The operators' engine.

        Raises:
            Problem: 503 ``operators_not_served``: this API has no login of theirs.
        """
        self.require_operators()
        assert self.operator_login is not None
        return self.operator_login

    def require_operators(self) -> None:
        """Refuse operators where this API has no login of theirs.

        Raises:
            Problem: 503 ``operators_not_served``.
        """
        if self.operator_login is None:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "operators_not_served",
                "This API serves no operators: it is started without their database login, "
                "KHRONIKA_OPERATOR_DATABASE_URL.",
            )

    def close(self) -> None:
        """Close every connection."""
        for engine in (self.api, self.public, self.operator_login):
            if engine is not None:
                engine.dispose()


def make_engines(settings: ApiSettings) -> Engines:
    """Return the engines of the configured roles; none is connected yet."""
    size, operators = settings.pool.database_pool_size, settings.operator_login
    return Engines(
        api=_engine(settings.api_login.url.get_secret_value(), size, "api"),
        public=_engine(settings.public_login.url.get_secret_value(), size, "public"),
        # An owner's session sets this bound itself; a callback may wait for its own duplicate.
        operator_login=_engine(
            operators.url.get_secret_value(), size, "operator", lock_wait_ms=LOCK_WAIT_MS
        )
        if operators
        else None,
    )


def _engine(url: str, pool_size: int, role: str, lock_wait_ms: int = 0) -> Engine:
    return make_engine(url, pool_size=pool_size, name=f"khronika {role}", lock_wait_ms=lock_wait_ms)
