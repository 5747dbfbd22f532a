"""Conditions under which the value of a setting is unsafe in production.

Each takes the setting and all settings of its process. A condition that returns text returns the
fault itself, after the name of the variable.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from limits import RateLimitItem, parse
from pydantic import AnyHttpUrl, BaseModel, SecretStr

from pipeline.runtime import exposed_urls
from pipeline.runtime.exposed_urls import login_of
from pipeline.runtime.filed_settings import SettingValue
from pipeline.runtime.loopback import is_loopback
from pipeline.runtime.weak_secrets import key_weakness, password_weakness

Settings = Mapping[str, SettingValue]
Condition = Callable[[SettingValue, Settings], bool | str | None]

NO_LIMIT_FACTOR = 100
MOST_PORTS = 16
MONTH_SEC = 30 * 24 * 3600
ISSUED_ENDING = "STORAGE_SECRET"
"""The end of the variables whose secret a service issues; some issue short ones."""
SUPERUSERS = frozenset({"postgres", "supabase_admin", "rdsadmin", "cloudsqlsuperuser", "root"})


def is_not_empty(setting: SettingValue, _: Settings) -> bool:
    """Return True for a list or text that is not empty."""
    return bool(setting.value)


def is_true(setting: SettingValue, _: Settings) -> bool:
    """Return True for a switch that is on."""
    return setting.value is True


def is_zero(setting: SettingValue, _: Settings) -> bool:
    """Return True for 0."""
    return bool(setting.value == 0)


def is_switched_on(setting: SettingValue, _: Settings) -> bool:
    """Return True for a variable that Flask reads as on."""
    return str(setting.value).lower() not in {"", "0", "false", "no"}


def is_any_port(setting: SettingValue, _: Settings) -> bool:
    """Return True for ``any``, and for a list that stands for it."""
    return setting.value == "any" or len(setting.value) > MOST_PORTS


def is_no_https(setting: SettingValue, _: Settings) -> bool:
    """Return True for an address that is unset or not https."""
    return setting.value is None or setting.value.scheme != "https"


def is_plain_http_elsewhere(setting: SettingValue, _: Settings) -> bool:
    """Return True for a service on another machine by plain http."""
    url = setting.value
    return isinstance(url, AnyHttpUrl) and url.scheme == "http" and not is_loopback(url.host or "")


def is_plain_own_origin(setting: SettingValue, _: Settings) -> bool:
    """Return True if one of several origins is plain http on another machine."""
    return any(each.scheme == "http" and not is_loopback(each.host) for each in setting.value)


def is_storage_in_the_clear(setting: SettingValue, _: Settings) -> bool:
    """Return True for a bucket, or one of several, by plain http."""
    urls = setting.value.values() if isinstance(setting.value, dict) else [setting.value]
    return any(map(exposed_urls.is_storage_in_the_clear, urls))


def is_any_origin(setting: SettingValue, _: Settings) -> bool:
    """Return True for a wildcard, and for the origin of sandboxed pages and local files."""
    return any("*" in origin or origin == "null" for origin in setting.value)


def is_plain_origin(setting: SettingValue, _: Settings) -> bool:
    """Return True for an origin by plain http."""
    return any(origin.lower().startswith("http:") for origin in setting.value)


def is_uncounted(setting: SettingValue, every: Settings) -> bool:
    """Return True if nothing tells the number of proxies before a public address."""
    public = every.get("KHRONIKA_PUBLIC_URL")
    host = (public.value.host or "") if public and public.value else ""
    return not setting.is_set and bool(host) and not is_loopback(host)


def is_first_come(setting: SettingValue, every: Settings) -> bool:
    """Return True if no rule ties a post to its owner."""
    table = every.get("KHRONIKA_POSTS_TABLE")
    return str(setting.value) == "off" and not (table and table.value)


def is_open_to_scrapes(setting: SettingValue, every: Settings) -> bool:
    """Return True if any client of a listener may read the metrics."""
    internal = every.get("KHRONIKA_INTERNAL_BIND")
    address = internal.value if internal else None
    return setting.value is None and (address is None or address.is_wildcard)


def is_unset_beside_secret(setting: SettingValue, every: Settings) -> bool:
    """Return True if tokens of a shared key have a default name."""
    secret = every.get("KHRONIKA_JWT_SECRET")
    return not setting.is_set and secret is not None and secret.value is not None


def weak_secret(setting: SettingValue, _: Settings) -> str | None:
    """Return the weakness of a key, token or secret."""
    if _is_url(setting):
        return None
    judge = password_weakness if setting.variable.endswith(ISSUED_ENDING) else key_weakness
    return next(filter(None, map(judge, secrets_among(setting.value))), None)


def shared_secret(setting: SettingValue, every: Settings) -> str | None:
    """Return the fault of a secret that an earlier variable has for another purpose."""
    own = set(_purposes(setting))
    for other in every.values():
        if other.variable >= setting.variable:
            continue
        for secret, purpose in _purposes(other):
            if any(secret == mine and purpose != its for mine, its in own):
                return f"has the secret of another purpose: {other.variable}"
    return None


def shared_login(setting: SettingValue, every: Settings) -> str | None:
    """Return the fault of a login that is a superuser's, or another part's too."""
    user, _, _ = login_of(setting.value.get_secret_value())
    if user.partition(".")[0] in SUPERUSERS:
        return f"logs in as the superuser {user}"
    for other in every.values():
        is_later = other.variable >= setting.variable
        if is_later or not other.variable.endswith("_DATABASE_URL"):
            continue
        if user and login_of(other.value.get_secret_value())[0] == user:
            return f"has the login of {other.variable}, so that one part has the rights of both"
    return None


def database_password(setting: SettingValue, _: Settings) -> str | None:
    """Return the fault of a database login's password."""
    return exposed_urls.database_password_problem(setting.value.get_secret_value())


def is_database_in_the_clear(setting: SettingValue, _: Settings) -> bool:
    """Return True for a database on another machine without TLS."""
    return exposed_urls.is_database_in_the_clear(setting.value.get_secret_value())


def broker_password(setting: SettingValue, every: Settings) -> str | None:
    """Return the fault of a broker's password."""
    del every
    return exposed_urls.broker_password_problem(_plain(setting))


def is_broker_in_the_clear(setting: SettingValue, _: Settings) -> bool:
    """Return True for a broker on another machine without TLS."""
    return exposed_urls.is_broker_in_the_clear(_plain(setting))


def is_unlimited_rate(setting: SettingValue, _: Settings) -> bool:
    """Return True for a rate that no client reaches."""
    if not isinstance(setting.default, str):
        return False
    return _per_second(parse(setting.value)) > NO_LIMIT_FACTOR * _per_second(parse(setting.default))


def is_unlimited_number(setting: SettingValue, _: Settings) -> bool:
    """Return True for a number that no client reaches."""
    return bool(setting.value > NO_LIMIT_FACTOR * setting.default)


def is_longer_than_a_month(setting: SettingValue, _: Settings) -> bool:
    """Return True for a life of more than thirty days."""
    return bool(setting.value > MONTH_SEC)


def is_debug_level(setting: SettingValue, _: Settings) -> bool:
    """Return True for a level below INFO."""
    return str(setting.value).strip().upper() in {"DEBUG", "NOTSET"}


def secrets_among(value: Any) -> Iterator[str]:
    """Yield the secrets in a value: one, a list, or those of a list of models."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, tuple):
        for each in value:
            yield from secrets_among(each)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_among(getattr(value, name))


def _purposes(setting: SettingValue) -> Iterator[tuple[str, str]]:
    """Yield each secret with its purpose. A login's purpose is its user at its server."""
    for secret in secrets_among(setting.value):
        if not _is_url(setting):
            yield secret, setting.variable
            continue
        user, password, server = login_of(secret)
        if password:
            yield password, f"{user}@{server}"


def _is_url(setting: SettingValue) -> bool:
    return setting.variable.endswith("_URL")


def _plain(setting: SettingValue) -> str:
    """Return the URL; an unset one is a broker without network."""
    return setting.value.get_secret_value() if setting.value is not None else "memory://"


def _per_second(rate: RateLimitItem) -> float:
    return rate.amount / rate.get_expiry()
