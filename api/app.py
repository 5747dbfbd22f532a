"""The Flask application, assembled from its parts by ``create_app``."""

import sys
from importlib.metadata import version

import structlog
from apiflask import APIFlask
from sqlalchemy.exc import SQLAlchemyError

from api import openapi
from api.access import cors, request_limits, work_at_once
from api.http import (
    client_address,
    error_handlers,
    listener_rules,
    path_prefix,
    request_log,
    security_headers,
)
from api.http.request_bodies import MAX_JSON_BYTES, ApiRequest, StrictJson
from api.monitoring import readiness
from api.monitoring.prometheus import PipelineMetrics
from api.ops import console
from api.routes import (
    assets,
    callbacks,
    changes,
    lists,
    media,
    operations,
    parts,
    providers,
    streams,
    uploads,
    video_files,
    web,
)
from api.wiring.services import EXTENSION, Services, build_services
from pipeline.config.groups import load_or_exit, secrets_in
from pipeline.config.logs import configure_logs
from pipeline.media.tools import ToolsMissing
from pipeline.net.id_converter import read_ids_in
from pipeline.process_settings import ApiSettings
from pipeline.providers.active_secrets import SecretsUnreadable
from pipeline.storage.urls import StorageUrlInvalid

log = structlog.get_logger()

BLUEPRINTS = (
    assets.blueprint,
    changes.blueprint,
    lists.blueprint,
    streams.blueprint,
    providers.blueprint,
    uploads.blueprint,
    parts.blueprint,
    callbacks.blueprint,
    media.blueprint,
    video_files.blueprint,
    operations.blueprint,
    web.blueprint,
    *console.BLUEPRINTS,
)


def create_app(settings: ApiSettings | None = None) -> APIFlask:
    """Return the application.

    Args:
        settings: The settings; read from the environment if absent.

    Raises:
        SystemExit: The settings are wrong; the errors have been printed.
    """
    try:
        here = build_services(settings or load_or_exit(ApiSettings, "api"))
    except (ToolsMissing, StorageUrlInvalid) as error:
        print(f"khronika api: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
        raise SystemExit(1) from None
    configure_logs(here.settings.logs, secrets_in(here.settings))
    _read_secrets(here)
    if accepted := sorted(here.settings.deployment.accept_risk):
        log.warning("risks_accepted", risks=accepted)
    return _assemble(here)


def _read_secrets(here: Services) -> None:
    """Fail at the start if the key is wrong; a database that is not up yet is no failure."""
    try:
        here.secrets.read_all()
    except SecretsUnreadable as error:
        here.close()
        print(f"khronika api: {error}", file=sys.stderr)  # noqa: T201 - for the operator
        raise SystemExit(1) from None
    except SQLAlchemyError as error:
        log.warning("callback_secrets_not_read_yet", error=type(error).__name__)


def _assemble(here: Services) -> APIFlask:
    app = APIFlask(
        "api",
        title="Khronika Video",
        version=version("khronika-video"),
        docs_path=None,
        static_folder=None,  # type: ignore[arg-type]  # Flask takes None: no static files
    )
    # Werkzeug would redirect `//` to `/`, with an address that holds the request's Host header.
    app.url_map.merge_slashes = False
    read_ids_in(app.url_map)
    app.request_class = ApiRequest
    app.json = StrictJson(app)
    app.config["MAX_CONTENT_LENGTH"] = MAX_JSON_BYTES
    app.extensions[EXTENSION] = here
    app.extensions[operations.METRICS] = PipelineMetrics(
        here.engines.operator_login,
        here.publisher,
        here.account_terms,
        lambda: readiness.check_storage(here.storage) == readiness.OK,
    )
    openapi.configure(app)
    client_address.register(app, here.settings.clients.proxies)
    # after_request functions run in reverse order: the log line of the request comes last.
    request_log.register(app)
    listener_rules.register(
        app,
        is_development=here.settings.deployment.is_development,
        internal=here.settings.internal.internal_bind,
    )
    hosts = {host for each in here.providers.values() for host in each.trust.output_hosts}
    sources = security_headers.sources_of(hosts, here.settings.sources.fetch_policy)
    security_headers.register(app, sources)
    cors.register(app)
    error_handlers.register(app)
    work_at_once.register(app, here.settings.work)
    request_limits.register(app, here.settings.limit_store_url)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    _serve_below_prefix(app, here.settings)
    return app


def _serve_below_prefix(app: APIFlask, settings: ApiSettings) -> None:
    public_url = settings.media_urls.base_url
    path_prefix.register(
        app,
        public_url=public_url,
        internal_url=settings.internal.console_url(public_url),
        internal=settings.internal.internal_bind,
    )
