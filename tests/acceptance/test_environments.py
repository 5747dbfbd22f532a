"""The environments of the processes of a running stack: no process holds another's secrets."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from stack.processes import find_marked_processes
from stack.supervisor import RUN_VARIABLE
from tests.running import RunningStack

COMMANDS = {
    "web": "api.app:create_app()",
    "submitter": "-A worker.app worker --queues submit ",
    "worker": "-A worker.app worker --queues reconcile",
    "beat": "-A worker.beat beat",
    "flower": "-A worker.flower flower",
    "transcoder": "transcoder.app:create_app()",
    "transcoder-worker": "-A transcoder.tasks worker",
    "transcoder-beat": "-A transcoder.beat beat",
    "site": "examples.site.app:create_app()",
}
"""A part of each process's command line."""

TRANSCODER = frozenset({"transcoder", "transcoder-worker"})
WORKERS = frozenset({"submitter", "worker"})
HOLDERS: Mapping[str, frozenset[str]] = {
    "DATABASE_URL": frozenset(),
    "KHRONIKA_API_DATABASE_URL": frozenset({"web"}),
    "KHRONIKA_PUBLIC_DATABASE_URL": frozenset({"web"}),
    "KHRONIKA_OPERATOR_DATABASE_URL": frozenset({"web"}),
    "KHRONIKA_WORKER_DATABASE_URL": WORKERS,
    "KHRONIKA_TRANSCODER_DATABASE_URL": TRANSCODER,
    "KHRONIKA_JWT_SECRET": frozenset({"web", "site"}),
    "KHRONIKA_SECRET_KEY": WORKERS | {"web", "beat"},
    "KHRONIKA_SELFHOSTED_TOKEN": WORKERS | {"web", "transcoder-beat"} | TRANSCODER,
    "KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS": frozenset({"web"}) | TRANSCODER,
    "BROKER_URL": frozenset(COMMANDS) - {"site"},
}
"""The processes that need each secret."""


@pytest.fixture(scope="module")
def environments(running_stack: RunningStack) -> Mapping[str, bytes]:
    """The environments of each process and of its children, as the kernel has them."""
    run_id = (running_stack.home.run / "id").read_text()
    found = dict.fromkeys(COMMANDS, b"")
    for process in find_marked_processes(RUN_VARIABLE, run_id):
        with suppress(OSError):  # a child of a pool that has ended since
            command = Path(f"/proc/{process.pid}/cmdline").read_bytes().replace(b"\0", b" ")
            held = Path(f"/proc/{process.pid}/environ").read_bytes()
            for name, part in COMMANDS.items():
                if part in command.decode():
                    found[name] += held
    return found


@pytest.mark.parametrize("variable", HOLDERS)
def test_a_secret_is_in_the_environments_of_the_processes_that_need_it_alone(
    running_stack: RunningStack, environments: Mapping[str, bytes], variable: str
) -> None:
    assert all(environments.values()), "a process was not found"
    secret = running_stack.environment[variable].encode()
    assert {name for name, held in environments.items() if secret in held} == HOLDERS[variable]
