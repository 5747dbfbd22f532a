"""Runner of one short-lived program, confined, with a deadline and bounded output."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from pipeline.media.confinement import Confinement, Reach, bare_environment, confined

_CHUNK_BYTES = 64 * 1024


class ChildTimedOut(Exception):
    """The program was killed because it ran past its deadline."""


class ChildTooLoud(Exception):
    """The program was killed because it printed more than was allowed."""


@dataclass(frozen=True)
class Finished:
    """Exit status and output of a program."""

    returncode: int  # negative: the signal that ended it
    stdout: bytes
    stderr: bytes


def run_child(
    argv: Sequence[str],
    confinement: Confinement,
    reach: Reach,
    *,
    timeout_sec: float,
    max_output_bytes: int,
) -> Finished:
    """Run a program to its end in a process group of its own, which never outlives the call.

    A program over one of its limits fails by itself or is ended by a signal; `Finished` has its
    exit status. A program that cannot be started fails with a message on stderr.

    Args:
        argv: program and arguments; no shell is involved and stdin is empty.
        confinement: limits of the program.
        reach: files that the program may use.
        timeout_sec: longest wall time.
        max_output_bytes: largest stdout, and largest stderr.

    Raises:
        ChildTimedOut: the program ran past the timeout.
        ChildTooLoud: one of its outputs exceeded the limit.
        OSError: the interpreter that confines it could not be started.
    """
    deadline = time.monotonic() + timeout_sec
    with start_child(argv, confinement, reach) as process:
        try:
            stdout, stderr = _collect(process, deadline, max_output_bytes)
            _await_end(process, deadline)
        except subprocess.TimeoutExpired as error:
            raise ChildTimedOut(f"{argv[0]} ran past {timeout_sec:g} s") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return Finished(process.returncode, stdout, stderr)


def start_child(
    argv: Sequence[str], confinement: Confinement, reach: Reach
) -> subprocess.Popen[bytes]:
    """Start a confined program with empty stdin, piped outputs and a process group of its own."""
    return subprocess.Popen(
        confined(argv, confinement, reach),
        env=bare_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _collect(
    process: subprocess.Popen[bytes],
    deadline: float,
    max_output_bytes: int,
) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    assert process.stderr is not None
    buffers: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as selector:
        for stream, buffer in buffers.items():
            selector.register(stream, selectors.EVENT_READ, buffer)
        while selector.get_map():
            ready = selector.select(deadline - time.monotonic())
            if time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(process.args, 0)
            for key, _ in ready:
                _read_some(selector, key, max_output_bytes)
    return bytes(buffers[process.stdout]), bytes(buffers[process.stderr])


def _await_end(process: subprocess.Popen[bytes], deadline: float) -> None:
    if not ended_within(process, deadline - time.monotonic()):
        raise subprocess.TimeoutExpired(process.args, 0)


def ended_within(process: subprocess.Popen[bytes], timeout_sec: float) -> bool:
    """Wait for a program's end and reap it; return False if it does not end in time.

    Wait on its process descriptor if there is one: ``Popen.wait`` with a timeout polls between
    short sleeps.
    """
    descriptor = _descriptor_of(process.pid)
    if descriptor is not None and not _readable_within(descriptor, timeout_sec):
        return False
    try:
        process.wait(None if descriptor is not None else timeout_sec)
    except subprocess.TimeoutExpired:
        return False
    return True


def _descriptor_of(pid: int) -> int | None:
    """Open a descriptor that becomes readable at the end of a process; None if there is none.

    Linux has it since 5.3, and some sandboxes forbid it.
    """
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _readable_within(descriptor: int, timeout_sec: float) -> bool:
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            return bool(selector.select(max(0.0, timeout_sec)))
    finally:
        os.close(descriptor)


def _read_some(
    selector: selectors.BaseSelector,
    key: selectors.SelectorKey,
    max_output_bytes: int,
) -> None:
    chunk = os.read(key.fd, _CHUNK_BYTES)
    if not chunk:
        selector.unregister(key.fileobj)
        return
    key.data.extend(chunk)
    if len(key.data) > max_output_bytes:
        raise ChildTooLoud(f"more than {max_output_bytes} bytes of output")
