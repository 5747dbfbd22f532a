"""What runs in the process that is to die: one deed of the product, on a world of its own making.

The process is forked from a server that has imported the product and nothing else has happened in,
so that every crash costs milliseconds and inherits neither connection nor thread.
"""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from uuid import UUID

from api.app import create_app
from pipeline.config.groups import load_settings
from pipeline.lifecycle.poll import poll
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.release import release
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import sweep
from pipeline.operations.purge import purge
from pipeline.process_settings import ApiSettings, WorkerSettings
from pipeline.records.upload_rows import Begin
from pipeline.runtime.database import make_engine, user_session
from pipeline.services import Services, build_services
from pipeline.uploads.complete import abandon_upload, complete_upload
from pipeline.uploads.parts import Digests, receive_whole
from tests.crashing.boundary import Boundary
from tests.crashing.interruptions import killed_at

Deed = Callable[..., object]
OWNER = "ana"

SURVIVED = 0
PATIENCE_SEC = 180.0

_processes = get_context("forkserver")
_processes.set_forkserver_preload([__name__])


def exit_code_of(boundary: Boundary, deed: str, *arguments: object) -> int:
    """Do the deed in a process that dies at the boundary; how that process ended."""
    process = _processes.Process(target=_run, args=(dict(os.environ), boundary, deed, arguments))
    process.start()
    process.join(PATIENCE_SEC)
    assert process.exitcode is not None, f"{deed} hangs"
    return process.exitcode


def _run(
    environment: Mapping[str, str],
    boundary: Boundary,
    deed: str,
    arguments: tuple[object, ...],
) -> None:
    os.environ.clear()  # the server that forks has the variables of the test that started it
    os.environ.update(environment)
    if deed == "sweep task":
        import_module("worker.tasks")  # not before: Celery reads the environment on import
    with killed_at(boundary):
        DEEDS[deed](*arguments)


def _with_services(use_case: Callable[[Services], object]) -> None:
    use_case(build_services(load_settings(WorkerSettings)))


def _use_case(use_case: Callable[[Services, UUID], object], id_: UUID) -> None:
    _with_services(lambda services: use_case(services, id_))


def _sweep_task() -> None:
    import_module("worker.tasks").run_sweep()


def _request(path: str, headers: Mapping[str, str], body: bytes) -> None:
    create_app().test_client().post(path, headers=dict(headers), data=body)


def _upload(upload_id: UUID, content: bytes) -> None:
    def receive(services: Services) -> None:
        receive_whole(
            _begin(),
            upload_id,
            [content],
            digests=Digests(),
            storage=services.storage,
            now=datetime.now(UTC),
        )

    _with_services(receive)


def _complete(upload_id: UUID) -> None:
    def complete(services: Services) -> None:
        complete_upload(
            _begin(),
            upload_id,
            storage=services.storage,
            tools=services.tools,
            limits=services.settings.sources.limits,
            now=datetime.now(UTC),
        )

    _with_services(complete)


def _abandon(upload_id: UUID) -> None:
    def abandon(services: Services) -> None:
        abandon_upload(_begin(), upload_id, storage=services.storage)

    _with_services(abandon)


def _begin() -> Begin:
    engine = make_engine(load_settings(ApiSettings).api_login.url.get_secret_value())
    return partial(user_session, engine, OWNER)


DEEDS: Mapping[str, Deed] = {
    "submit": partial(_use_case, submit),
    "reconcile": partial(_use_case, reconcile),
    "poll": partial(_use_case, poll),
    "release": partial(_use_case, release),
    "sweep": partial(_with_services, sweep),
    "purge": partial(_with_services, purge),
    "sweep task": _sweep_task,
    "request": _request,
    "upload": _upload,
    "complete": _complete,
    "abandon": _abandon,
}
