"""The routes of the player element and the pages of ``web/``, and of the one library they load.

``web/`` lies in the checkout or in the wheel. A checkout without the library, which npm fetches,
answers 404 for it and serves the rest.
"""

import gzip
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from apiflask import APIBlueprint
from flask import Response, abort, request

from api.http.security_headers import page_policy
from khronika_video.product_files import product_file

blueprint = APIBlueprint("web", __name__, url_prefix="/web")

ROOT = product_file("web")

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
"""The served files of the folder, by suffix; all others are for developers."""

NAME = re.compile(r"(?:[a-z0-9][a-z0-9-]*/)*[a-z0-9][a-z0-9.-]*")
"""Lower-case names that begin with a letter or digit: no dot file, no way out of the folder."""

PRIVATE = ("node_modules/", "eslint.config.js")

VENDORED = {
    "hls.js": {
        "hls.light.min.mjs": ("dist/hls.light.min.mjs", TYPES[".js"]),
        "LICENSE": ("LICENSE", "text/plain; charset=utf-8"),
    },
}
"""Files of libraries that pages load; they are fetched at set-up, not committed, never changed."""

REVALIDATED = "public, no-cache"
"""Modules import each other by names without a version: a cache must not mix versions."""

IMMUTABLE = "public, max-age=31536000, immutable"
"""For addresses that contain a version."""

COMMENT = re.compile(r"^[ \t]*(?:/\*(?:(?!\*/)[\s\S])*\*/|//.*)[ \t]*$", re.MULTILINE)
"""Comments alone on their lines."""

FOR_DEVELOPERS = re.compile(r"/\*\* @(?:(?!\*/).)*\*/ ?|^[ \t]+", re.MULTILINE)
"""Text for readers of the source only: notes to the type checker, and indentation."""

VERSIONS_HELD = 512


@dataclass(frozen=True)
class ServedFile:
    """A file in its served form.

    Attributes:
        tag: The ETag of the plain bytes; the compressed ones are another representation with
            another strong ETag (RFC 9110, 8.8.3.3).
    """

    content: bytes
    compressed: bytes
    content_type: str
    tag: str


@blueprint.get("/<path:name>")
@blueprint.doc(hide=True)
def page(name: str) -> Response:
    """Read a module, style or page."""
    suffix = Path(name).suffix
    if suffix not in TYPES or not NAME.fullmatch(name) or name.startswith(PRIVATE):
        abort(404)
    response = _answer(ROOT / name, TYPES[suffix], REVALIDATED)
    if suffix == ".html":
        response.headers["Content-Security-Policy"] = page_policy()
    return response


@blueprint.get("/vendor/<library>/<version>/<name>")
@blueprint.doc(hide=True)
def vendored(library: str, version: str, name: str) -> Response:
    """Read a file of the installed version of a library."""
    path, content_type = VENDORED.get(library, {}).get(name, (None, ""))
    folder = ROOT / "node_modules" / library
    if path is None or version != _installed_version(folder):
        abort(404)
    return _answer(folder / path, content_type, IMMUTABLE)


def _installed_version(folder: Path) -> str | None:
    try:
        described: dict[str, Any] = json.loads((folder / "package.json").read_text())
    except FileNotFoundError:
        return None
    return str(described["version"])


def _answer(path: Path, content_type: str, cache_control: str) -> Response:
    try:
        changed_ns = path.stat().st_mtime_ns
    except OSError:
        abort(404)
    found = _load(path, content_type, changed_ns)
    is_compressed = request.accept_encodings["gzip"] > 0
    response = Response(
        found.compressed if is_compressed else found.content, content_type=found.content_type
    )
    if is_compressed:
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(f"{found.tag}-gzip" if is_compressed else found.tag)
    response.headers["Cache-Control"] = cache_control
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.vary.add("Accept-Encoding")
    response.make_conditional(request)
    return response


@lru_cache(maxsize=VERSIONS_HELD)
def _load(path: Path, content_type: str, _changed_ns: int) -> ServedFile:
    """Read and compress a file, once for each of its versions.

    Args:
        _changed_ns: The time of its last change, which identifies the version.
    """
    content = path.read_bytes()
    if path.suffix == ".js":
        content = without_comments(content.decode()).encode()
    return ServedFile(
        content=content,
        compressed=gzip.compress(content, 9, mtime=0),
        content_type=content_type,
        tag=sha256(content).hexdigest()[:32],
    )


def without_comments(source: str) -> str:
    """Remove comments and indentation from a module; every line keeps its number.

    They are a third of the bytes that a visitor would wait for.
    """
    shortened = COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), source)
    return FOR_DEVELOPERS.sub("", shortened)
