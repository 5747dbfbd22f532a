import re
import shlex
import subprocess
import sys

import pytest
from gunicorn.app.wsgiapp import WSGIApplication  # type: ignore[import-untyped]

from pipeline.config.limit_settings import OwnerLimitSettings
from pipeline.net.bounded_worker import BoundedWorker
from stack.home import CHECKOUT
from stack.supervisor import read_procfile

COMMANDS = read_procfile(CHECKOUT / "Procfile")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_line_of_the_procfile_is_one_command_for_a_shell(name: str) -> None:
    line = f"exec {COMMANDS[name]}"
    subprocess.run(["/bin/sh", "-n", "-c", line], check=True)


def queues_of(line: str) -> set[str]:
    """The queues of a worker, or its default ones; those of no worker are none."""
    found = re.search(r'--queues (?:"\$\{\w+:-)?([\w,-]+)', line)
    return set(found[1].split(",")) if found else set()


def test_every_queue_has_a_worker() -> None:
    queues = set().union(*map(queues_of, COMMANDS.values()))
    assert queues == {"submit", "reconcile", "sweep", "transcode", "transcoder-sweep"}


def test_nothing_waits_behind_the_reading_of_sources() -> None:
    beside = [queues_of(line) for line in COMMANDS.values() if "submit" in queues_of(line)]
    assert beside == [{"submit"}]


def test_an_owner_never_has_all_processes_that_read_sources() -> None:
    assert '--concurrency "${KHRONIKA_SUBMIT_PROCESSES:-4}"' in COMMANDS["submitter"]
    assert OwnerLimitSettings.model_fields["max_reading"].default < 4


def arguments_of(line: str) -> list[str]:
    """The arguments of a line where no variable is set."""
    return shlex.split(re.sub(r"\$\{\w+:-([^${}]*)\}", r"\1", line))


SERVERS = {"transcoder": COMMANDS, "site": read_procfile(CHECKOUT / "examples/site/Procfile")}


@pytest.mark.parametrize("name", SERVERS)
def test_no_server_lets_a_client_of_this_machine_write_a_proxys_headers(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setattr(sys, "argv", arguments_of(SERVERS[name][name]))
    read = WSGIApplication("%(prog)s").cfg
    assert (read.forwarded_allow_ips, read.forwarder_headers) == ([], [])
    assert read.header_map == "drop"


def test_no_command_replaces_the_worker_that_bounds_slow_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "worker-class" not in COMMANDS["web"]
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setattr(sys, "argv", arguments_of(COMMANDS["transcoder"]))
    assert WSGIApplication("%(prog)s").cfg.worker_class is BoundedWorker


def test_flower_is_reachable_from_this_machine_only_unless_it_is_told_otherwise() -> None:
    assert '--address="${KHRONIKA_FLOWER_ADDRESS:-127.0.0.1}"' in COMMANDS["flower"]
