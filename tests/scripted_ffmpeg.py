"""A script in the place of ffmpeg, which the jail lets run the real one."""

import shutil
from pathlib import Path

REAL = "REAL_FFMPEG"
"""Stands in a script for the path of the real program."""


def scripted_ffmpeg(folder: Path, script: str, real: str) -> str:
    """Write the script, and the real program to the place of an installed program's libraries.

    Returns:
        The path of the script.
    """
    program, library = folder / "tool" / "bin" / "ffmpeg", folder / "tool" / "lib" / "ffmpeg"
    for path in (program, library):
        path.parent.mkdir(parents=True)
    shutil.copy(real, library)
    program.write_text(script.replace(REAL, str(library)))
    program.chmod(0o755)
    return str(program)
