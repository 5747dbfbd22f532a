"""Launcher of a program that may only read files, write files and compute, within limits.

Usage: ``python -I -S confined.py '{"parent": PID, "limits": …}' COMMAND [ARGUMENT …]``

It is a program of its own and no ``preexec_fn``: code between fork and exec is unsafe if the
parent has threads, as the API has. It uses the standard library only and no `site`, because every
run waits for it. `confinement.py` builds its arguments and explains the limits. Without a COMMAND
it prints the isolation that this machine allows.

The kernel isolates the program in three independent layers:

* A network namespace of its own without any connection. It needs root or unprivileged user
  namespaces; containers often forbid both.
* A seccomp filter (seccomp(2)) that allows the calls of `system_calls.py` and no others: no
  sockets, no new processes, no changes of a file's owner or mode. It works for every user on Linux,
  also in containers.
* A Landlock domain (landlock(7)). The process opens the listed files and folders only, each with
  the listed rights; every other file is closed to it, also to root. A process in a domain cannot
  inspect processes outside it: the parent's environment, memory and open connections are closed to
  it. From Linux 6.12 on it also cannot send signals to processes outside.

Root keeps only the capabilities to read and write files; its other capabilities could bypass these
layers.
"""

import ctypes
import json
import os
import platform
import resource
import signal
import stat
import struct
import sys

TYPE_CHECKING = False  # an import of typing takes longer than the rest of this program
if TYPE_CHECKING:
    from typing import Any, NoReturn

NOT_STARTED = 125
"""Exit status for a program that could not be confined or started, as that of ``env``."""
NO_PROGRAM = frozenset({NOT_STARTED, 126, 127})
"""Such statuses, with those of a shell that finds no program."""

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38  # <linux/prctl.h>
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # <sched.h>
_SECCOMP_MODE_FILTER, _STEP_BYTES = 2, 8
# <linux/capability.h>: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
_CAPABILITY_VERSION_3, _FILE_CAPABILITIES = 0x20080522, 0b110
_CAPSET = {"x86_64": 126, "aarch64": 91}
# <linux/landlock.h>; these numbers are the same on every architecture.
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_LANDLOCK_CREATE_RULESET_VERSION, _LANDLOCK_RULE_PATH_BENEATH = 1, 1
_LANDLOCK_RIGHTS_BY_VERSION = ((1, 13), (2, 14), (3, 15), (5, 16))  # version, rights to files
_LANDLOCK_RIGHTS_TO_FILES = 0b1100_0000_0000_0111  # the others apply to folders only
_LANDLOCK_NET_TCP, _LANDLOCK_WITH_NET = 0b11, 4
_LANDLOCK_SCOPES, _LANDLOCK_WITH_SCOPES = 0b11, 6  # abstract sockets, signals


def main(arguments: list[str]) -> None:
    """Become the command.

    Raises:
        OSError: The command cannot be run.
    """
    jail = json.loads(arguments[0])
    _limit(jail["limits"])
    isolation = isolate(jail) if sys.platform == "linux" else []
    if missing := [layer for layer in jail["required"] if layer not in isolation]:
        _refuse_to_start(f"isolation is not available: {', '.join(missing)}")
    if not arguments[1:]:
        print(json.dumps(isolation))  # noqa: T201 - what was asked for
        return
    # Python ignores these two, and an exec keeps ignored signals ignored. The limit on files would
    # then only fail a write, and muxers do not notice that.
    for number in (signal.SIGXFSZ, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(arguments[1], arguments[1:])  # noqa: S606 - becoming the command is the point
    except OSError as error:
        _refuse_to_start(f"{arguments[1]}: {error.strerror}")


def _refuse_to_start(reason: str) -> "NoReturn":
    """End with a status that no ffmpeg has, so that no file is blamed for it."""
    sys.stderr.write(f"{reason}\n")
    sys.exit(NOT_STARTED)


def _limit(limits: dict[str, int]) -> None:
    bounds = {
        resource.RLIMIT_AS: limits["memory_bytes"],
        resource.RLIMIT_CPU: limits["cpu_sec"],
        resource.RLIMIT_FSIZE: limits["file_bytes"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_CORE: 0,
    }
    for kind, wanted in bounds.items():
        hard = _least(wanted, resource.getrlimit(kind)[1])
        resource.setrlimit(kind, (hard, hard))
    # The soft limit is a second earlier: its SIGXCPU names the reason, the hard limit's SIGKILL
    # does not.
    seconds = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (max(1, seconds - 1), seconds))


def _least(wanted: int, allowed: int) -> int:
    return wanted if allowed == resource.RLIM_INFINITY else min(wanted, allowed)


def isolate(jail: "dict[str, Any]") -> list[str]:
    """Apply the isolation that the kernel allows; return the names of the applied layers.

    Args:
        jail: `parent`, the id of the parent process, with which this process dies; `files`, the
            files and folders that the process may use, with their Landlock rights; `filter`, the
            filter of system calls in hexadecimal.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    taken = []
    if _leave_the_network(libc):
        taken.append("network")
    # After the change of namespace, because the kernel clears the setting with the credentials.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != jail["parent"]:  # the parent died before the line above
        os._exit(1)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        taken.append("privileges")
        _give_up_capabilities(libc)
        if _enter_a_domain(libc, jail["files"]):
            taken.append("landlock")
        if _filter_calls(libc, bytes.fromhex(jail["filter"])):
            taken.append("seccomp")
    return taken


def _leave_the_network(libc: ctypes.CDLL) -> bool:
    """Enter a new network namespace, as root or as root of a new user namespace.

    A user namespace changes no right to any file.
    """
    return any(
        libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET)
    )


def _give_up_capabilities(libc: ctypes.CDLL) -> None:
    """Keep only root's capabilities for files; other users have none."""
    number = _CAPSET.get(platform.machine())
    if number is not None and os.geteuid() == 0:
        header = struct.pack("@Ii", _CAPABILITY_VERSION_3, 0)
        # Effective, permitted, inheritable; then the same for the capabilities from 32 on.
        kept = struct.pack("@6I", _FILE_CAPABILITIES, _FILE_CAPABILITIES, 0, 0, 0, 0)
        libc.syscall(number, header, kept)


def _enter_a_domain(libc: ctypes.CDLL, files: dict[str, int]) -> bool:
    """Enter a Landlock domain with rights to the listed files only."""
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION)
    if version < 1:
        return False
    count = max(count for since, count in _LANDLOCK_RIGHTS_BY_VERSION if since <= version)
    handled = (1 << count) - 1
    # struct landlock_ruleset_attr: access to files, to the network, scopes. Older kernels have a
    # shorter one and accept this if the fields unknown to them are 0.
    network = _LANDLOCK_NET_TCP if version >= _LANDLOCK_WITH_NET else 0
    scopes = _LANDLOCK_SCOPES if version >= _LANDLOCK_WITH_SCOPES else 0
    rules = struct.pack("@QQQ", handled, network, scopes)
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, rules, len(rules), 0)
    if ruleset < 0:
        return False
    for path, rights in files.items():
        _add_rule(libc, ruleset, path, rights & handled)
    return bool(libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0)


def _add_rule(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    """Grant rights to a file or to all below a folder; a path that is missing stays closed."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        rights &= _LANDLOCK_RIGHTS_TO_FILES
    rule = struct.pack("=Qi", rights, descriptor)  # struct landlock_path_beneath_attr, packed
    libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_RULE_PATH_BENEATH, rule, 0)
    os.close(descriptor)


def _filter_calls(libc: ctypes.CDLL, steps: bytes) -> bool:
    """Install a filter that was made for this machine; an empty one is none."""
    code = ctypes.create_string_buffer(steps)
    # struct sock_fprog: the number of steps, padding, their address.
    head = struct.pack("@HP", len(steps) // _STEP_BYTES, ctypes.addressof(code))
    program = ctypes.create_string_buffer(head)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0) == 0)


if __name__ == "__main__":
    main(sys.argv[1:])
