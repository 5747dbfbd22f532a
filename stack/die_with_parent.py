"""Run a command that does not outlive the process that started it.

Usage: ``python -I tether.py SIGNAL PARENT_PID USER|- COMMAND [ARGUMENT …]``

The supervisor stops its children itself; this is for the moment it cannot, because it was killed
with SIGKILL. On Linux the kernel then sends SIGNAL to the command (PR_SET_PDEATHSIG, prctl(2)).
Elsewhere the command runs untethered and the next start finds what is left.

It is a program of its own, not a ``preexec_fn``, because code between fork and exec is unsafe
once the parent has threads; and it changes the user here, not through ``Popen(user=…)``, because
the interpreter itself may lie where that user cannot reach. Standard library only: it is on the
path of every start.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Become the command.

    Raises:
        OSError: the user cannot be taken on or the command cannot be run.
    """
    signal_name, parent, user, *command = arguments
    if user != "-":
        _become(user)
    # After the change of user: the kernel clears the setting when credentials change.
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal.Signals[signal_name]), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != int(parent):  # it died before the line above
            sys.exit(1)
    # Whoever started us may have blocked or ignored them while it was stopping.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execvp(command[0], command)  # noqa: S606 - becoming the command is the point


def _become(user: str) -> None:
    import pwd  # noqa: PLC0415 - unneeded for most children

    entry = pwd.getpwnam(user)
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


if __name__ == "__main__":
    main(sys.argv[1:])
