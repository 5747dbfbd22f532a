"""Secrets that come in files, as orchestrators mount them: ``NAME_FILE`` in place of ``NAME``.

The convention of Docker's images and of Kubernetes' mounted secrets. A variable is seen in
``/proc``, in crash reports, and by whoever may describe a container; a file is not.
"""

import stat
from collections.abc import Mapping
from pathlib import Path

SUFFIX = "_FILE"

MAX_BYTES = 128 * 1024
"""What Linux lets one variable hold (MAX_ARG_STRLEN): a file may say no more."""


class SecretUnreadable(ValueError):
    """A secret cannot be had; says which variable is wrong, and neither value nor path."""


def read_secret(env: Mapping[str, str], name: str) -> str | None:
    """A secret as its variable or its file gives it; None where neither does.

    Args:
        env: The environment; an empty ``NAME_FILE`` counts as unset, and so does an empty ``NAME``
            beside one that is not.
        name: The variable that would hold the secret itself.

    Raises:
        SecretUnreadable: both are set, or the file holds no secret. The path is not shown: it may
            be the secret, given in the wrong variable.
    """
    path = env.get(name + SUFFIX)
    if not path:
        return env.get(name)
    if env.get(name):
        raise SecretUnreadable(f"{name} and {name}{SUFFIX} are both set; one of them has to go")
    try:
        return _content(Path(path))
    except UnicodeDecodeError:
        fault = "is no text"
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    except ValueError as error:
        fault = str(error)
    raise SecretUnreadable(f"{name}{SUFFIX} names a file that {fault}")


def unset_defaults(defaults: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Those defaults that are given neither as they are nor in a file."""
    return {
        name: value
        for name, value in defaults.items()
        if name not in given and name + SUFFIX not in given
    }


def _content(path: Path) -> str:
    # Before it is opened: opening a pipe would wait for somebody to write to it.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is no regular one")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES} bytes")
    secret = content.decode().rstrip("\r\n")
    if not secret:
        raise ValueError("is empty")
    return secret
