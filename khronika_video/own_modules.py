"""Refusal of a start in which another distribution's modules stand in the place of ours.

The wheel is an application, and its packages have plain names (``api``, ``worker``). A module of
the same name that is found earlier, or that was installed over ours, would run in its place.
"""

import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from khronika_video.product_files import MODULES

DISTRIBUTION = "khronika-video"
OWN = ("api", "celeryconfig", "cli", "pipeline", "transcoder", "worker")
"""The modules that the wheel installs beside this package."""
REMEDY = (
    f"Install {DISTRIBUTION} into an environment of its own, and start it in a folder that holds"
    " no module of such a name."
)


def require_own_modules(*before: str) -> None:
    """End this process if a module of ours is another's.

    Args:
        before: Folders that a server will put before the others, such as the working directory.

    Raises:
        SystemExit: with a line for each such module.
    """
    taken = [*_found_elsewhere([*before, *sys.path]), *_installed_over()]
    if taken:
        sys.stderr.write("\n  ".join(["khronika: these modules are not ours:", *taken, REMEDY]))
        sys.stderr.write("\n")
        raise SystemExit(2)


def _found_elsewhere(path: Sequence[str]) -> Iterator[str]:
    """Describe each module of ours that an import would find in another folder."""
    for name in OWN:
        spec = PathFinder.find_spec(name, path)
        origin = spec.origin if spec else None
        if origin is None:
            yield f"{name}: an import does not find it"
        elif not Path(origin).resolve().is_relative_to(MODULES):
            yield f"{name}: an import finds {origin}"


def _installed_over() -> Iterator[str]:
    """Describe each module of ours that another distribution was installed over."""
    try:
        ours = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return  # the modules were copied
    changed = set(_changed_files(ours))
    if not changed:
        return
    for other in distributions():
        if other.metadata["Name"] != ours.metadata["Name"]:
            files = changed.intersection(map(str, other.files or ()))
            for name in sorted({file.partition("/")[0].removesuffix(".py") for file in files}):
                yield f"{name}: {other.metadata['Name']} was installed over it"


def _changed_files(ours: Distribution) -> Iterator[str]:
    """Yield our modules whose content is not the one that was installed."""
    for file in ours.files or ():
        if file.suffix != ".py" or file.hash is None:
            continue
        content = Path(str(file.locate())).read_bytes()
        digest = urlsafe_b64encode(sha256(content).digest()).decode().rstrip("=")
        if digest != file.hash.value:
            yield str(file)
