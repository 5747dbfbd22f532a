"""A program that runs a command which does not outlive the process that started it.

Usage: ``python -I die_with_parent.py SIGNAL PARENT_PID USER|- COMMAND [ARGUMENT …]``

The supervisor stops its children itself. If it is killed with SIGKILL, the kernel sends SIGNAL to
the command (PR_SET_PDEATHSIG, prctl(2)). This works on Linux only; elsewhere the next start finds
and ends the command.

This is a program and not a ``preexec_fn`` because code between fork and exec is unsafe once the
parent has threads. It changes the user itself, without ``Popen(user=…)``, because the interpreter
may lie in a folder that is closed to that user. It uses the standard library only, because it is
part of every start.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Become the command.

    Raises:
        OSError: changing the user or running the command failed.
    """
    signal_name, parent, user, *command = arguments
    os.umask(0o077)  # no file of the stack is another user's to read, whoever starts it
    if user != "-":
        _change_user(user)
    # This follows the change of user because that clears the setting.
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal.Signals[signal_name]), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != int(parent):  # the parent died before prctl
            sys.exit(1)
    # A parent that was stopping may have blocked or ignored them.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execvp(command[0], command)  # noqa: S606 - becoming the command is the point


def _change_user(user: str) -> None:
    import pwd  # noqa: PLC0415 - unneeded for most children

    entry = pwd.getpwnam(user)
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


if __name__ == "__main__":
    main(sys.argv[1:])
