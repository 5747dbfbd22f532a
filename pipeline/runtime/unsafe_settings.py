"""The settings that are unsafe in production: for each its condition and a sentence.

The list is one for all processes. A process checks the settings that it reads.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic_settings import BaseSettings

from pipeline.runtime import unsafe_values as unsafe
from pipeline.runtime.deployment import DeploymentFields, Risk
from pipeline.runtime.filed_settings import SettingValue, values_of
from pipeline.runtime.unsafe_values import Condition

ACCEPT = "KHRONIKA_ACCEPT_RISK"

UNREAD = ("DATABASE_URL", "FLASK_DEBUG")
"""Variables that no serving process reads as a setting, and that are unsafe for each."""


@dataclass(frozen=True)
class UnsafeSetting:
    """One kind of unsafe setting.

    Attributes:
        risk: The name under which an operator may accept it.
        variables: A pattern of the variables that it concerns.
        condition: Returns True, or a more exact fault, for an unsafe value.
        fault: The danger; it follows the name of the variable.
        remedy: The safe setting.
    """

    risk: Risk
    variables: str
    condition: Condition
    fault: str
    remedy: str

    def fault_of(self, setting: SettingValue, every: Mapping[str, SettingValue]) -> str | None:
        """Return the fault of a setting; None if this kind does not apply to it."""
        if re.fullmatch(self.variables, setting.variable) is None:
            return None
        found = self.condition(setting, every)
        if isinstance(found, str):
            return found
        return self.fault if found else None


@dataclass(frozen=True)
class RiskFinding:
    """One unsafe setting of a process.

    Attributes:
        risk: The risk that it runs.
        sentence: The variable, the danger, and the remedy.
    """

    risk: Risk
    sentence: str


UNSAFE: tuple[UnsafeSetting, ...] = (
    UnsafeSetting(
        Risk.PRIVATE_SOURCES,
        r"KHRONIKA_SOURCE_ALLOW",
        unsafe.is_not_empty,
        "lets a stranger's source address reach this machine or a private network",
        "Leave it empty.",
    ),
    UnsafeSetting(
        Risk.PLAIN_HTTP_SOURCES,
        r"KHRONIKA_SOURCE_HTTP",
        unsafe.is_true,
        "lets the network change a source or an output on its way",
        "Leave it false.",
    ),
    UnsafeSetting(
        Risk.ANY_SOURCE_PORT,
        r"KHRONIKA_SOURCE_PORTS",
        unsafe.is_any_port,
        "lets a stranger's source address reach any service of a host",
        "Leave it empty, or list a few ports.",
    ),
    UnsafeSetting(
        Risk.PLAIN_PUBLIC_ADDRESS,
        r"KHRONIKA_PUBLIC_URL",
        unsafe.is_no_https,
        "is unset or plain http, so that tokens and media cross the network in the clear",
        "Set the API's https address.",
    ),
    UnsafeSetting(
        Risk.PLAIN_SERVICE,
        r"KHRONIKA_(?!PUBLIC_URL|LIMITS_URL|\w+DATABASE_URL)\w+_URL",
        unsafe.is_plain_http_elsewhere,
        "sends tokens and jobs to another machine over plain http",
        "Set an https address.",
    ),
    UnsafeSetting(
        Risk.PLAIN_SERVICE,
        r"KHRONIKA_TRANSCODER_OWN_ORIGINS",
        unsafe.is_plain_own_origin,
        "names our API or bucket on another machine over plain http",
        "List https origins.",
    ),
    UnsafeSetting(
        Risk.PLAIN_STORAGE,
        r"STORAGE_URL|KHRONIKA_TRANSCODER_STORAGES",
        unsafe.is_storage_in_the_clear,
        "reaches a bucket on another machine over plain http",
        "Give it an https endpoint.",
    ),
    UnsafeSetting(
        Risk.PLAIN_KEYS,
        r"KHRONIKA_JWKS_LOOPBACK",
        unsafe.is_true,
        "accepts the keys of an issuer over plain http",
        "Leave it false.",
    ),
    UnsafeSetting(
        Risk.ANY_ORIGIN,
        r"KHRONIKA_CORS_ORIGINS",
        unsafe.is_any_origin,
        "names every site, or pages without an origin",
        "List the origins of your own sites.",
    ),
    UnsafeSetting(
        Risk.PLAIN_ORIGIN,
        r"KHRONIKA_CORS_ORIGINS",
        unsafe.is_plain_origin,
        "names a site over plain http, whose pages anyone on the way may change",
        "List https origins only.",
    ),
    UnsafeSetting(
        Risk.UNCOUNTED_PROXIES,
        r"KHRONIKA_PROXIES",
        unsafe.is_uncounted,
        "is unset although clients come by a public address: behind a proxy all of them share one "
        "limit",
        "Set the number of proxies before the API; 0 if it ends TLS itself.",
    ),
    UnsafeSetting(
        Risk.OPEN_POSTS,
        r"KHRONIKA_POST_CLAIM",
        unsafe.is_first_come,
        "is off and KHRONIKA_POSTS_TABLE is unset, so that a stranger may take a post",
        "Set KHRONIKA_POST_CLAIM=required, or KHRONIKA_POSTS_TABLE.",
    ),
    UnsafeSetting(
        Risk.OPEN_METRICS,
        r"KHRONIKA_METRICS_TOKEN",
        unsafe.is_open_to_scrapes,
        "is unset and KHRONIKA_INTERNAL_BIND names no single address, so that everybody reads "
        "/metrics",
        "Set KHRONIKA_INTERNAL_BIND to an address that operators alone reach, or a token.",
    ),
    UnsafeSetting(
        Risk.DEFAULT_ISSUER,
        r"KHRONIKA_JWT_(ISSUER|AUDIENCE)",
        unsafe.is_unset_beside_secret,
        "is unset, so that tokens for another service with the same key are accepted",
        "Set the iss and the aud of your tokens.",
    ),
    UnsafeSetting(
        Risk.WEAK_KEY,
        r".+",
        unsafe.weak_secret,
        "is short, repeats itself, counts up, or is a sample value",
        "Set 32 random bytes, such as `openssl rand -base64 32` prints.",
    ),
    UnsafeSetting(
        Risk.SHARED_KEY,
        r".+",
        unsafe.shared_secret,
        "has the secret of another purpose",
        "Give each purpose a secret of its own.",
    ),
    UnsafeSetting(
        Risk.SHARED_LOGIN,
        r"KHRONIKA_\w+_DATABASE_URL",
        unsafe.shared_login,
        "logs in as a superuser, or as another part",
        "Give each part the login of its own role.",
    ),
    UnsafeSetting(
        Risk.OWNER_LOGIN,
        r"DATABASE_URL",
        unsafe.is_not_empty,
        "is in the environment: the owner's login passes every rule of the database",
        "Keep it for migrations, outside of every process.",
    ),
    UnsafeSetting(
        Risk.DATABASE_LOGIN,
        r"KHRONIKA_\w+_DATABASE_URL",
        unsafe.database_password,
        "has no password, or one that can be guessed",
        "Set a random password.",
    ),
    UnsafeSetting(
        Risk.DATABASE_WITHOUT_TLS,
        r"KHRONIKA_\w+_DATABASE_URL",
        unsafe.is_database_in_the_clear,
        "connects to another machine without TLS",
        "Add sslmode=verify-full, or at least sslmode=require, to the URL.",
    ),
    UnsafeSetting(
        Risk.BROKER_LOGIN,
        r"BROKER_URL|KHRONIKA_LIMITS_URL",
        unsafe.broker_password,
        "has no password, or one that can be guessed",
        "Set a random password.",
    ),
    UnsafeSetting(
        Risk.BROKER_LOGIN,
        r"KHRONIKA_BROKER_OPEN",
        unsafe.is_true,
        "accepts a broker that every client may command",
        "Leave it false.",
    ),
    UnsafeSetting(
        Risk.BROKER_WITHOUT_TLS,
        r"BROKER_URL|KHRONIKA_LIMITS_URL",
        unsafe.is_broker_in_the_clear,
        "connects to another machine without TLS, or without checking its certificate",
        "Use rediss:// or amqps://.",
    ),
    UnsafeSetting(
        Risk.NO_LIMIT,
        r"KHRONIKA_LIMIT_(?!ADDRESS_FACTOR)\w+",
        unsafe.is_unlimited_rate,
        "is more than a hundred times its default, which limits nothing",
        "Set a rate that a person or an import needs.",
    ),
    UnsafeSetting(
        Risk.NO_LIMIT,
        r"KHRONIKA_(OWNER_MAX_\w+|(SOURCE_|TRANSCODER_)MAX_(BYTES|DURATION_SEC|FRAMES)"
        r"|CALLBACK_(MAX_BYTES|TOLERANCE_SEC)|CLIENT_(PATIENCE_SEC|HEAD_SEC|CONNECTIONS)|LIMIT_ADDRESS_FACTOR)",
        unsafe.is_unlimited_number,
        "is more than a hundred times its default, which limits nothing",
        "Set a number that your users need.",
    ),
    UnsafeSetting(
        Risk.NO_LIMIT,
        r"KHRONIKA_TRANSCODER_SOURCE_MIN_BPS",
        unsafe.is_zero,
        "lets a source that sends nothing occupy the transcoder",
        "Set the bits a second of the slowest source.",
    ),
    UnsafeSetting(
        Risk.LONG_LIFE,
        r"KHRONIKA_((TOKEN|PLAYBACK|UPLOAD|PRESIGNED)_EXPIRES_SEC|STREAM_TICKET_SEC"
        r"|JWKS_(LIFE|STALE)_SEC|CALLBACK_SECRET_OVERLAP_SEC)",
        unsafe.is_longer_than_a_month,
        "keeps an address, ticket, or withdrawn key valid for more than a month",
        "Set hours or days.",
    ),
    UnsafeSetting(
        Risk.NO_ISOLATION,
        r"KHRONIKA_ISOLATION_WAIVE",
        unsafe.is_not_empty,
        "lets a hostile file that takes ffmpeg over do more",
        "Run on a machine that allows every layer, and leave it empty.",
    ),
    UnsafeSetting(
        Risk.DEBUG,
        r"KHRONIKA_LOG_LEVEL",
        unsafe.is_debug_level,
        "makes libraries log the bodies and headers of requests",
        "Set INFO.",
    ),
    UnsafeSetting(
        Risk.DEBUG,
        r"FLASK_DEBUG",
        unsafe.is_switched_on,
        "turns on the debug mode of the web framework",
        "Unset it.",
    ),
)
"""Every kind of unsafe setting. Flower's own options are checked beside it (`worker/flower.py`)."""


def find_unsafe(
    settings: Iterable[BaseSettings], surroundings: Mapping[str, str] | None = None
) -> Iterator[RiskFinding]:
    """Yield each unsafe setting.

    Args:
        settings: Every group that the process has read.
        surroundings: Variables that are no settings of the process, and affect it all the same.
    """
    every = {each.variable: each for group in settings for each in values_of(group)}
    for name, value in (surroundings or {}).items():
        every.setdefault(name, SettingValue(name, value, "", is_set=True))
    for setting in every.values():
        for kind in UNSAFE:
            fault = kind.fault_of(setting, every)
            if fault is not None:
                yield RiskFinding(kind.risk, f"{setting.variable}: {fault}. {kind.remedy}")


def refusals(
    settings: Iterable[BaseSettings],
    deployment: DeploymentFields | None,
    surroundings: Mapping[str, str] | None = None,
) -> list[str]:
    """Return a line about each unsafe setting that refuses the start.

    Args:
        settings: Every group that the process has read.
        deployment: None if it could not be read: then no risk is accepted.
        surroundings: See `find_unsafe`.
    """
    if deployment is not None and deployment.is_development:
        return []
    accepted = deployment.accept_risk if deployment is not None else frozenset()
    return [
        f"{each.sentence} (KHRONIKA_ENV is production; {ACCEPT}={each.risk} accepts it.)"
        for each in find_unsafe(settings, surroundings)
        if each.risk not in accepted
    ]
