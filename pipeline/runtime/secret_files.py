"""Secrets in files, as orchestrators mount them: ``NAME_FILE`` in place of ``NAME``.

Docker's images and Kubernetes' mounted secrets have this convention. A variable is visible in
``/proc``, in crash reports and in the description of a container; the content of a file is not.
"""

import stat
from collections.abc import Mapping
from pathlib import Path

SUFFIX = "_FILE"

MAX_BYTES = 128 * 1024
"""Largest file: the largest variable on Linux (MAX_ARG_STRLEN)."""


class SecretUnreadable(ValueError):
    """A secret cannot be read; the message names the variable, but neither value nor path."""


def read_secret(env: Mapping[str, str], name: str) -> str | None:
    """Return a secret from its variable or its file; None without either.

    Args:
        env: The environment. An empty ``NAME_FILE`` counts as unset, and so does an empty ``NAME``
            beside a ``NAME_FILE``.
        name: Name of the variable for the secret itself.

    Raises:
        SecretUnreadable: both are set, or the file holds no secret. The message omits the path,
            which may be the secret itself, set in the wrong variable.
    """
    path = env.get(name + SUFFIX)
    if not path:
        return env.get(name)
    if env.get(name):
        raise SecretUnreadable(f"{name} and {name}{SUFFIX} are both set; unset one of them")
    try:
        return _content(Path(path))
    except UnicodeDecodeError:
        fault = "is not UTF-8 text"
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    except ValueError as error:
        fault = str(error)
    raise SecretUnreadable(f"{name}{SUFFIX} names a file that {fault}")


def unset_defaults(defaults: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the defaults of the variables that are set neither directly nor by a file."""
    return {
        name: value
        for name, value in defaults.items()
        if name not in given and name + SUFFIX not in given
    }


def _content(path: Path) -> str:
    # Before opening, because opening a pipe waits for a writer.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is not a regular file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES} bytes")
    secret = content.decode().rstrip("\r\n")
    if not secret:
        raise ValueError("is empty")
    return secret
