"""Every unsafe setting refuses the start of a production, by its name."""

import json
from collections.abc import Mapping
from unittest import mock

import pytest

from pipeline.runtime.deployment import Risk
from pipeline.runtime.filed_settings import SettingsInvalid
from pipeline.runtime.unsafe_settings import UNSAFE
from tests.production import PIPELINE, READERS, TRANSCODER, key_for

ISSUER = {"issuer": "site", "audience": "people", "algorithm": "HS256"}
API_LOGIN, PUBLIC_LOGIN = "KHRONIKA_API_DATABASE_URL", "KHRONIKA_PUBLIC_DATABASE_URL"
WORKER_LOGIN = "KHRONIKA_WORKER_DATABASE_URL"
SELFHOSTED = "KHRONIKA_SELFHOSTED"
PREFIX = "KHRONIKA_TRANSCODER"
UNSET = ""


def refusal(process: str, changes: Mapping[str, str]) -> str:
    """The refusal of a process in a good environment with these changes; empty if it starts."""
    environment, load = READERS[process]
    changed = {name: value for name, value in {**environment, **changes}.items() if value != UNSET}
    with mock.patch.dict("os.environ", changed, clear=True):
        try:
            load()
        except SettingsInvalid as refused:
            return str(refused)
    return ""


@pytest.mark.parametrize("process", READERS)
def test_a_good_production_is_the_default_and_starts(process: str) -> None:
    assert "KHRONIKA_ENV" not in {**PIPELINE, **TRANSCODER}
    assert refusal(process, {}) == ""


def password(login: str, word: str) -> str:
    """A login with another password."""
    before, _, after = PIPELINE[login].partition("@")
    return f"{before.rpartition(':')[0]}:{word}@{after}"


CASES: Mapping[str, tuple[str, Risk, Mapping[str, str]]] = {
    "sources on loopback": (
        "web",
        Risk.PRIVATE_SOURCES,
        {"KHRONIKA_SOURCE_ALLOW": "http://127.0.0.1:*"},
    ),
    "sources in a private network": (
        "worker",
        Risk.PRIVATE_SOURCES,
        {"KHRONIKA_SOURCE_ALLOW": "http://10.1.2.3:8080"},
    ),
    "sources by a name": (
        "worker",
        Risk.PRIVATE_SOURCES,
        {"KHRONIKA_SOURCE_ALLOW": "https://media.internal.example"},
    ),
    "sources of the transcoder": (
        "transcoder",
        Risk.PRIVATE_SOURCES,
        {"KHRONIKA_SOURCE_ALLOW": "http://[::1]:*"},
    ),
    "sources by http": ("worker", Risk.PLAIN_HTTP_SOURCES, {"KHRONIKA_SOURCE_HTTP": "true"}),
    "any port": ("web", Risk.ANY_SOURCE_PORT, {"KHRONIKA_SOURCE_PORTS": "any"}),
    "a list that is any port": (
        "web",
        Risk.ANY_SOURCE_PORT,
        {"KHRONIKA_SOURCE_PORTS": ",".join(map(str, range(1, 65536)))},
    ),
    "any port of the transcoder": (
        "transcoder",
        Risk.ANY_SOURCE_PORT,
        {"KHRONIKA_SOURCE_PORTS": "any"},
    ),
    "a plain public address": (
        "web",
        Risk.PLAIN_PUBLIC_ADDRESS,
        {"KHRONIKA_PUBLIC_URL": "http://video.site.example"},
    ),
    "no public address": ("worker", Risk.PLAIN_PUBLIC_ADDRESS, {"KHRONIKA_PUBLIC_URL": UNSET}),
    "a plain transcoder": (
        "worker",
        Risk.PLAIN_SERVICE,
        {f"{SELFHOSTED}_URL": "http://transcoder.internal.example:8090"},
    ),
    "plain callbacks": (
        "transcoder",
        Risk.PLAIN_SERVICE,
        {f"{PREFIX}_CALLBACK_URL": "http://video.site.example/callback"},
    ),
    "a plain origin of ours": (
        "transcoder",
        Risk.PLAIN_SERVICE,
        {f"{PREFIX}_OWN_ORIGINS": "http://10.0.0.7:8080"},
    ),
    "a plain bucket": (
        "web",
        Risk.PLAIN_STORAGE,
        {"STORAGE_URL": "s3://videos?endpoint=http://minio.internal.example:9000"},
    ),
    "a plain bucket of the transcoder": (
        "transcoder",
        Risk.PLAIN_STORAGE,
        {f"{PREFIX}_STORAGES": json.dumps({"a": "s3://b?endpoint=http://10.0.0.9:9000"})},
    ),
    "keys on loopback": ("web", Risk.PLAIN_KEYS, {"KHRONIKA_JWKS_LOOPBACK": "true"}),
    "every origin": ("web", Risk.ANY_ORIGIN, {"KHRONIKA_CORS_ORIGINS": "https://a.example,*"}),
    "no origin": ("web", Risk.ANY_ORIGIN, {"KHRONIKA_CORS_ORIGINS": "null"}),
    "a plain origin": (
        "web",
        Risk.PLAIN_ORIGIN,
        {"KHRONIKA_CORS_ORIGINS": "http://site.example"},
    ),
    "proxies unset": ("web", Risk.UNCOUNTED_PROXIES, {"KHRONIKA_PROXIES": UNSET}),
    "posts of the first": ("web", Risk.OPEN_POSTS, {"KHRONIKA_POST_CLAIM": "off"}),
    "posts unset": ("web", Risk.OPEN_POSTS, {"KHRONIKA_POST_CLAIM": UNSET}),
    "posts for the command line": ("khronika", Risk.OPEN_POSTS, {"KHRONIKA_POST_CLAIM": "off"}),
    "metrics for everybody": ("web", Risk.OPEN_METRICS, {"KHRONIKA_INTERNAL_BIND": UNSET}),
    "metrics on every address": (
        "web",
        Risk.OPEN_METRICS,
        {"KHRONIKA_INTERNAL_BIND": "0.0.0.0:9090"},
    ),
    "no issuer": ("web", Risk.DEFAULT_ISSUER, {"KHRONIKA_JWT_ISSUER": UNSET}),
    "no audience": ("web", Risk.DEFAULT_ISSUER, {"KHRONIKA_JWT_AUDIENCE": UNSET}),
    "one letter": ("web", Risk.WEAK_KEY, {"KHRONIKA_SECRET_KEY": "k" * 32}),
    "one letter of the beat": ("beat", Risk.WEAK_KEY, {"KHRONIKA_SECRET_KEY": "k" * 32}),
    "one letter of the tokens": ("web", Risk.WEAK_KEY, {"KHRONIKA_JWT_SECRET": "j" * 64}),
    "two letters": ("web", Risk.WEAK_KEY, {"KHRONIKA_SECRET_KEY": "ab" * 16}),
    "two halves": ("web", Risk.WEAK_KEY, {"KHRONIKA_SECRET_KEY": "a" * 16 + "b" * 16}),
    "a sequence": (
        "web",
        Risk.WEAK_KEY,
        {"KHRONIKA_SECRET_KEY": "abcdefghijklmnopqrstuvwxyz0123456789"},
    ),
    "a repeated word": ("web", Risk.WEAK_KEY, {"KHRONIKA_SECRET_KEY": "Vb7!xQ2p" * 4}),
    "a known sample": (
        "web",
        Risk.WEAK_KEY,
        {"KHRONIKA_JWT_SECRET": "super-secret-jwt-token-with-at-least-32-characters-long"},
    ),
    "a placeholder": (
        "web",
        Risk.WEAK_KEY,
        {"KHRONIKA_SECRET_KEY": "CHANGE_ME-uL8xv0Qw3Zt5Rk2Ns7Yb4Hd9"},
    ),
    "a short token": ("worker", Risk.WEAK_KEY, {f"{SELFHOSTED}_TOKEN": "uL8xv0Qw3Zt5"}),
    "a short token of the transcoder": (
        "transcoder",
        Risk.WEAK_KEY,
        {f"{PREFIX}_TOKEN": "uL8xv0Qw3Zt5Rk2N"},
    ),
    "the webhook secret of the specification": (
        "web",
        Risk.WEAK_KEY,
        {f"{SELFHOSTED}_WEBHOOK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
    ),
    "a webhook secret of one letter": (
        "transcoder",
        Risk.WEAK_KEY,
        {f"{PREFIX}_CALLBACK_SECRETS": "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"},
    ),
    "a webhook secret of words": (
        "web",
        Risk.WEAK_KEY,
        {f"{SELFHOSTED}_WEBHOOK_SECRETS": "whsec_bXktd2ViaG9vay1wYXNzd29yZC0xMjM0"},
    ),
    "an issuer's weak key": (
        "web",
        Risk.WEAK_KEY,
        {"KHRONIKA_JWT_ISSUERS": json.dumps([{**ISSUER, "secret": "s" * 40}])},
    ),
    "a metrics token": ("web", Risk.WEAK_KEY, {"KHRONIKA_METRICS_TOKEN": "prometheus"}),
    "a bucket's key": (
        "worker",
        Risk.WEAK_KEY,
        {"KHRONIKA_STORAGE_SECRET": "minioadmin", "KHRONIKA_STORAGE_KEY_ID": "minioadmin"},
    ),
    "one key for two purposes": (
        "web",
        Risk.SHARED_KEY,
        {"KHRONIKA_SECRET_KEY": key_for("tokens")},
    ),
    "one key for tokens and jobs": (
        "web",
        Risk.SHARED_KEY,
        {f"{SELFHOSTED}_TOKEN": key_for("urls")},
    ),
    "an issuer's key that is ours": (
        "web",
        Risk.SHARED_KEY,
        {
            "KHRONIKA_SECRET_KEY": key_for("urls"),
            "KHRONIKA_JWT_ISSUERS": json.dumps([{**ISSUER, "secret": key_for("urls")}]),
        },
    ),
    "one password for two logins": (
        "web",
        Risk.SHARED_KEY,
        {PUBLIC_LOGIN: PIPELINE[API_LOGIN].replace("khronika_api", "khronika_public")},
    ),
    "one login for two parts": ("web", Risk.SHARED_LOGIN, {PUBLIC_LOGIN: PIPELINE[API_LOGIN]}),
    "a superuser": (
        "worker",
        Risk.SHARED_LOGIN,
        {WORKER_LOGIN: PIPELINE[WORKER_LOGIN].replace("khronika_worker", "postgres")},
    ),
    "a database without a password": (
        "web",
        Risk.DATABASE_LOGIN,
        {API_LOGIN: "postgresql://khronika_api@127.0.0.1/khronika"},
    ),
    "a database's guessed password": (
        "worker",
        Risk.DATABASE_LOGIN,
        {WORKER_LOGIN: password(WORKER_LOGIN, "password1234")},
    ),
    "the user's name as password": (
        "worker",
        Risk.DATABASE_LOGIN,
        {WORKER_LOGIN: password(WORKER_LOGIN, "khronika_worker")},
    ),
    "a database in the clear": (
        "worker",
        Risk.DATABASE_WITHOUT_TLS,
        {WORKER_LOGIN: PIPELINE[WORKER_LOGIN].replace("verify-full", "prefer")},
    ),
    "a database of the transcoder in the clear": (
        "transcoder",
        Risk.DATABASE_WITHOUT_TLS,
        {
            f"{PREFIX}_DATABASE_URL": TRANSCODER[f"{PREFIX}_DATABASE_URL"].removesuffix(
                "?sslmode=verify-full"
            )
        },
    ),
    "the second host of a database": (
        "worker",
        Risk.DATABASE_WITHOUT_TLS,
        {WORKER_LOGIN: f"postgresql://w:{key_for('w')}@127.0.0.1,10.0.0.9/khronika"},
    ),
    "a broker's guessed password": (
        "flower",
        Risk.BROKER_LOGIN,
        {"BROKER_URL": "rediss://:hunter2@broker.internal.example/0"},
    ),
    "a guest of the broker": (
        "transcoder",
        Risk.BROKER_LOGIN,
        {"BROKER_URL": "amqps://guest:guest@broker.internal.example//"},
    ),
    "a broker without a password": (
        "worker",
        Risk.BROKER_LOGIN,
        {"KHRONIKA_BROKER_OPEN": "true", "BROKER_URL": "redis://127.0.0.1/0"},
    ),
    "a broker in the clear": (
        "beat",
        Risk.BROKER_WITHOUT_TLS,
        {"BROKER_URL": PIPELINE["BROKER_URL"].replace("rediss:", "redis:")},
    ),
    "a broker without a check": (
        "worker",
        Risk.BROKER_WITHOUT_TLS,
        {"BROKER_URL": PIPELINE["BROKER_URL"] + "?ssl_cert_reqs=none"},
    ),
    "a counter in the clear": (
        "web",
        Risk.BROKER_WITHOUT_TLS,
        {"KHRONIKA_LIMITS_URL": f"redis://:{key_for('limits').replace('/', '.')}@10.0.0.9/0"},
    ),
    **{
        f"a rate that is none, {name.lower()}": (
            "web",
            Risk.NO_LIMIT,
            {f"KHRONIKA_LIMIT_{name}": "100000/minute"},
        )
        for name in ("CREATE", "RETRY", "UPLOADS", "BAD_SIGNATURES", "SIGN_IN")
    },
    "a rate a second": ("web", Risk.NO_LIMIT, {"KHRONIKA_LIMIT_SIGN_IN": "100/second"}),
    "a factor that is none": ("web", Risk.NO_LIMIT, {"KHRONIKA_LIMIT_ADDRESS_FACTOR": "1000000"}),
    "owners without a limit": ("worker", Risk.NO_LIMIT, {"KHRONIKA_OWNER_MAX_LIVE": "1000000"}),
    "sources without a limit": (
        "web",
        Risk.NO_LIMIT,
        {"KHRONIKA_SOURCE_MAX_BYTES": str(1024**5)},
    ),
    "replays without a limit": (
        "web",
        Risk.NO_LIMIT,
        {"KHRONIKA_CALLBACK_TOLERANCE_SEC": "31536000"},
    ),
    "sources of any slowness": (
        "transcoder",
        Risk.NO_LIMIT,
        {f"{PREFIX}_SOURCE_MIN_BPS": "0"},
    ),
    "addresses for a year": (
        "web",
        Risk.LONG_LIFE,
        {"KHRONIKA_PLAYBACK_EXPIRES_SEC": "31536000"},
    ),
    "withdrawn keys for a year": ("web", Risk.LONG_LIFE, {"KHRONIKA_JWKS_STALE_SEC": "31536000"}),
    "no isolation": ("worker", Risk.NO_ISOLATION, {"KHRONIKA_ISOLATION_WAIVE": "landlock"}),
    "no isolation of the transcoder": (
        "transcoder",
        Risk.NO_ISOLATION,
        {"KHRONIKA_ISOLATION_WAIVE": "network"},
    ),
    "a log of bodies": ("web", Risk.DEBUG, {"KHRONIKA_LOG_LEVEL": "DEBUG"}),
}
"""By a name: the process, the risk, and the change of its environment. The first variable of the
change is the one that must be named."""

by_case = pytest.mark.parametrize(("process", "risk", "changes"), CASES.values(), ids=list(CASES))


@by_case
def test_an_unsafe_setting_refuses_the_start_by_its_name(
    process: str, risk: Risk, changes: Mapping[str, str]
) -> None:
    named = refusal(process, changes)

    [line, *_] = [each for each in named.splitlines() if f"KHRONIKA_ACCEPT_RISK={risk} " in each]
    variable = {
        Risk.OPEN_METRICS: "KHRONIKA_METRICS_TOKEN",
    }.get(risk, next(iter(changes)))
    assert variable in line
    for value in changes.values():
        assert len(value) < len("password") or f"{value}" not in named


@by_case
def test_a_risk_is_accepted_by_its_name_alone(
    process: str, risk: Risk, changes: Mapping[str, str]
) -> None:
    others = ",".join(sorted(set(Risk) - {risk}))
    assert f"={risk} " in refusal(process, {**changes, "KHRONIKA_ACCEPT_RISK": others})
    accepted = refusal(process, {**changes, "KHRONIKA_ACCEPT_RISK": risk.value})
    assert f"={risk} " not in accepted


@by_case
def test_development_allows_it(process: str, risk: Risk, changes: Mapping[str, str]) -> None:
    del risk
    assert refusal(process, {**changes, "KHRONIKA_ENV": "development"}) == ""


def test_every_kind_of_unsafe_setting_has_a_case() -> None:
    unread = {Risk.OWNER_LOGIN, Risk.OPEN_FLOWER}  # see test_production_example.py
    assert {kind.risk for kind in UNSAFE} - unread == {risk for _, risk, _ in CASES.values()}
    assert set(Risk) == {kind.risk for kind in UNSAFE} | {Risk.OPEN_FLOWER}


def test_all_problems_are_listed_at_once_with_those_of_wrong_settings() -> None:
    named = refusal(
        "web",
        {
            "KHRONIKA_SOURCE_ALLOW": "http://127.0.0.1:*",
            "KHRONIKA_SECRET_KEY": "k" * 32,
            "KHRONIKA_CORS_ORIGINS": "*",
            "KHRONIKA_LIMIT_CREATE": "100000/minute",
            "KHRONIKA_STREAM_CLIENTS": "many",
        },
    )
    for variable in (
        "SOURCE_ALLOW",
        "SECRET_KEY",
        "CORS_ORIGINS",
        "LIMIT_CREATE",
        "STREAM_CLIENTS",
    ):
        assert f"KHRONIKA_{variable}: " in named


@pytest.mark.parametrize(
    "changes",
    [{"KHRONIKA_ENV": "prod"}, {"KHRONIKA_ACCEPT_RISK": "all"}, {"KHRONIKA_ENV": "staging"}],
    ids=lambda changes: "-".join(changes.values()),
)
def test_an_unknown_kind_or_risk_is_refused_and_accepts_nothing(changes: Mapping[str, str]) -> None:
    named = refusal("web", {**changes, "KHRONIKA_SECRET_KEY": "k" * 32})
    assert next(iter(changes)) in named.splitlines()[1]
    assert "KHRONIKA_SECRET_KEY: " in named


UNUSUAL: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "two more ports": ("web", {"KHRONIKA_SOURCE_PORTS": "443,8443"}),
    "an API that ends TLS itself": ("web", {"KHRONIKA_PROXIES": "0"}),
    "metrics with a token": (
        "web",
        {"KHRONIKA_INTERNAL_BIND": UNSET, "KHRONIKA_METRICS_TOKEN": key_for("metrics")},
    ),
    "servers on this machine": (
        "worker",
        {
            "BROKER_URL": f"redis://:{key_for('b').replace('/', '.')}@127.0.0.1/0",
            WORKER_LOGIN: f"postgresql://w:{key_for('w').replace('/', '.')}@localhost/khronika",
            f"{SELFHOSTED}_URL": "http://127.0.0.1:8090",
        },
    ),
    "a database on a socket": ("worker", {WORKER_LOGIN: "postgresql://w@/khronika?host=/run/pg"}),
    "a client certificate": (
        "worker",
        {WORKER_LOGIN: "postgresql://w@db/k?sslmode=verify-full&sslcert=/c&sslkey=/k"},
    ),
    "TLS without a check of the database": (
        "worker",
        {WORKER_LOGIN: PIPELINE[WORKER_LOGIN].replace("verify-full", "require")},
    ),
    "issuers that publish keys": (
        "web",
        {
            "KHRONIKA_JWT_SECRET": UNSET,
            "KHRONIKA_JWT_ISSUER": UNSET,
            "KHRONIKA_JWT_AUDIENCE": UNSET,
            "KHRONIKA_JWT_ISSUERS": json.dumps(
                [{**ISSUER, "algorithm": "ES256", "jwks_url": "https://site.example/keys"}]
            ),
        },
    ),
    "a table of posts": (
        "web",
        {"KHRONIKA_POST_CLAIM": UNSET, "KHRONIKA_POSTS_TABLE": "public.posts"},
    ),
    "a counter that is the broker": ("web", {"KHRONIKA_LIMITS_URL": PIPELINE["BROKER_URL"]}),
    "ten times the rate": ("web", {"KHRONIKA_LIMIT_CREATE": "600/minute"}),
    "warnings only": ("web", {"KHRONIKA_LOG_LEVEL": "WARNING"}),
}


@pytest.mark.parametrize(("process", "changes"), UNUSUAL.values(), ids=list(UNUSUAL))
def test_an_unusual_setting_is_not_refused(process: str, changes: Mapping[str, str]) -> None:
    assert refusal(process, changes) == ""
