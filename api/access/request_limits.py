"""The rate limits of each owner and of each address.

Rate limits protect the service from haste; the quotas in the database protect its money. Requests
are therefore not limited while the store of the limits is unavailable. Operators are not limited,
because a site's server that acts for all of its owners is one.
"""

import logging
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from math import ceil
from time import time
from typing import Any, NamedTuple, TypeVar, cast

from apiflask import APIFlask
from flask import Response
from flask_limiter import Limiter, RateLimitExceeded, RequestLimit
from prometheus_client import Counter
from redis.exceptions import RedisError

from api.access.caller import Role, caller
from api.access.limit_store import StoreAway, bounded_url
from api.http.client_address import client_address
from api.http.problems import Problem, answer
from api.wiring.services import services
from pipeline.config.request_rates import multiply_rate
from pipeline.net.client_networks import network_of

REFUSED = Counter("khronika_rate_limited", "Requests refused by a rate limit.", ["policy"])

View = TypeVar("View", bound=Callable[..., Any])


class Policy(StrEnum):
    """A limit; its setting is the member of the same name of `request_limits`."""

    CREATE = "create"
    RETRY = "retry"
    """Every request that encodes a registered video again."""
    UPLOADS = "uploads"
    BAD_SIGNATURES = "bad_signatures"
    SIGN_IN = "sign_in"
    """Tokens that are tried at the operators' console."""


class LimitState(NamedTuple):
    """The use of a limit by one caller."""

    policy: str
    quota: int
    window_sec: int
    remaining: int
    reset_sec: int
    """Seconds until the oldest counted request leaves the window."""


limiter = Limiter(key_func=client_address, strategy="moving-window", swallow_errors=True)


def register(app: APIFlask, store_url: str) -> None:
    """Count the requests of an application, and send callers their use of the limits."""
    app.config["RATELIMIT_STORAGE_URI"] = bounded_url(store_url)
    # Flask-Limiter logs every request that an unavailable store did not count; the store logs once.
    logging.getLogger("flask-limiter").setLevel(logging.CRITICAL)
    limiter.init_app(app)
    app.register_error_handler(RateLimitExceeded, _refuse)
    app.after_request(_add_limit_headers)


def limited(policy: Policy) -> Callable[[View], View]:
    """Limit a route per owner and per address; the decorator stands below ``@authorised``."""

    def decorate(view: View) -> View:
        by_owner = limiter.shared_limit(
            partial(_of_owner, policy), policy, key_func=_owner, exempt_when=_is_operator
        )
        by_address = limiter.shared_limit(
            partial(_of_address, policy),
            f"{policy}_address",
            key_func=_network,
            exempt_when=_is_operator,
        )
        return cast("View", by_owner(by_address(view)))

    return decorate


def limited_by_address(policy: Policy) -> Callable[[View], View]:
    """Limit a route without a known caller per address."""

    def decorate(view: View) -> View:
        limit = limiter.shared_limit(partial(_of_owner, policy), policy, key_func=_network)
        return cast("View", limit(view))

    return decorate


def _of_owner(policy: Policy) -> str:
    return cast("str", getattr(services().settings.request_limits, policy))


def _of_address(policy: Policy) -> str:
    return multiply_rate(_of_owner(policy), services().settings.request_limits.address_factor)


def _is_operator() -> bool:
    return caller().role is not Role.OWNER


def _owner() -> str:
    return caller().subject


def _network() -> str:
    return network_of(client_address())


def _refuse(_error: RateLimitExceeded) -> Response:
    breached = limiter.current_limit
    assert breached is not None
    REFUSED.labels(breached.request_args[-1]).inc()
    wait_sec = _wait_sec(breached)
    return answer(
        Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "rate_limited",
            f"Too many requests: the limit is {breached.limit}. Try again in {wait_sec} s.",
            headers={"Retry-After": str(wait_sec)},
        )
    )


def _wait_sec(breached: RequestLimit) -> int:
    try:
        return _state_of(breached).reset_sec
    except (RedisError, StoreAway):
        return breached.limit.get_expiry()


def _add_limit_headers(response: Response) -> Response:
    """Add the state of the limit with the fewest requests left."""
    try:
        states = [_state_of(limit) for limit in limiter.current_limits]
    except (RedisError, StoreAway):
        return response
    if not states:
        return response
    nearest = min(states, key=lambda state: state.remaining)
    name = f'"{nearest.policy}"'
    response.headers["RateLimit-Policy"] = f"{name};q={nearest.quota};w={nearest.window_sec}"
    response.headers["RateLimit"] = f"{name};r={nearest.remaining};t={nearest.reset_sec}"
    return response


def _state_of(applied: RequestLimit) -> LimitState:
    reset_at, remaining = applied.window
    return LimitState(
        policy=applied.request_args[-1],
        quota=applied.limit.amount,
        window_sec=applied.limit.get_expiry(),
        remaining=max(remaining, 0),
        reset_sec=max(1, ceil(reset_at - time())),
    )
