"""The Celery app of Flower: it reads events, and has no key for messages that a worker takes."""

from pathlib import Path

from celery import Celery
from celery.signals import import_modules, setup_logging
from tornado.options import options

from khronika_video.own_modules import require_own_modules
from pipeline.config.groups import load_or_exit, load_settings, secrets_in
from pipeline.config.logs import configure_logs
from pipeline.process_settings import FlowerSettings
from pipeline.runtime.deployment import DeploymentFields, Risk
from pipeline.runtime.loopback import is_loopback
from pipeline.runtime.unsafe_settings import ACCEPT
from pipeline.runtime.weak_secrets import password_weakness

app = Celery("khronika", config_source="celeryconfig")


@import_modules.connect
def _require_safe_options(**_: object) -> None:
    require_own_modules(str(Path.cwd()))  # Celery would import another celeryconfig from it
    # Flower has read its options by then, from wherever they came, and does not listen yet.
    if problems := unsafe_options(load_or_exit(FlowerSettings, "flower").deployment):
        raise SystemExit("\n  ".join(["khronika flower: the options are unsafe:", *problems]))


def unsafe_options(deployment: DeploymentFields) -> list[str]:
    """Return a line about each option of Flower that refuses the start."""
    is_local = bool(options.unix_socket) or is_loopback(options.address)
    if deployment.is_development:
        sentence = "--address: KHRONIKA_ENV=development listens on loopback only. Use 127.0.0.1."
        return [] if is_local else [sentence]
    guessed = any(password_weakness(*_password_and_user(each)) for each in options.basic_auth or ())
    unsafe = (
        (
            Risk.OPEN_FLOWER,
            not is_local and not (options.basic_auth or options.auth),
            "--address: every client opens its pages. Listen on 127.0.0.1, or set --basic-auth.",
        ),
        (Risk.OPEN_FLOWER, guessed, "--basic-auth: the password can be guessed. Set a random one."),
        (Risk.DEBUG, options.debug, "--debug: shows the program to its clients. Leave it out."),
    )
    return [
        f"{sentence} (KHRONIKA_ENV is production; {ACCEPT}={risk} accepts it.)"
        for risk, is_unsafe, sentence in unsafe
        if is_unsafe and risk not in deployment.accept_risk
    ]


def _password_and_user(login: str) -> tuple[str, str]:
    user, _, password = login.partition(":")
    return password, user


@setup_logging.connect
def _configure(**_: object) -> None:
    settings = load_settings(FlowerSettings)
    configure_logs(settings.logs, secrets_in(settings))
