"""The player element and the pages of ``web/``, and the one library they load.

``web/`` is found beside this package: in a checkout, or where an editable install points. An
installation without it answers 404 here and is otherwise whole.
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

from api.http.security_headers import PAGE

blueprint = APIBlueprint("web", __name__, url_prefix="/web")

ROOT = Path(__file__).resolve().parents[2] / "web"

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
"""What is served from the folder, by suffix; everything else in it is for developers."""

NAME = re.compile(r"(?:[a-z0-9][a-z0-9-]*/)*[a-z0-9][a-z0-9.-]*")
"""Lower-case names that begin with a letter or digit: no dot file, no way out of the folder."""

PRIVATE = ("node_modules/", "eslint.config.js")

VENDORED = {
    "hls.js": {
        "hls.light.min.mjs": ("dist/hls.light.min.mjs", TYPES[".js"]),
        "LICENSE": ("LICENSE", "text/plain; charset=utf-8"),
    },
}
"""Files of libraries, fetched at set-up, that pages may load: never committed, never changed."""

REVALIDATED = "public, no-cache"
"""Modules import each other by plain names: caches that kept one longer would mix versions."""

IMMUTABLE = "public, max-age=31536000, immutable"
"""For addresses that hold a version."""

COMMENT = re.compile(r"^[ \t]*(?:/\*(?:(?!\*/)[\s\S])*\*/|//.*)[ \t]*$", re.MULTILINE)
"""Comments that have their lines to themselves."""

FOR_DEVELOPERS = re.compile(r"/\*\* @(?:(?!\*/).)*\*/ ?|^[ \t]+", re.MULTILINE)
"""What is left of use to readers of the source alone: notes to the type checker, indentation."""

VERSIONS_HELD = 512


@dataclass(frozen=True)
class Sent:
    """A file as it is sent.

    Attributes:
        tag: Of the plain bytes; the compressed ones are another representation with another
            strong ETag (RFC 9110, 8.8.3.3).
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
        response.headers["Content-Security-Policy"] = PAGE
    return response


@blueprint.get("/vendor/<library>/<version>/<name>")
@blueprint.doc(hide=True)
def vendored(library: str, version: str, name: str) -> Response:
    """Read a file of a library in the version that is installed."""
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
def _load(path: Path, content_type: str, _changed_ns: int) -> Sent:
    """Read and compress a file, once for each of its versions.

    Args:
        _changed_ns: When it was last changed: what tells versions apart.
    """
    content = path.read_bytes()
    if path.suffix == ".js":
        content = as_sent(content.decode()).encode()
    return Sent(
        content=content,
        compressed=gzip.compress(content, 9, mtime=0),
        content_type=content_type,
        tag=sha256(content).hexdigest()[:32],
    )


def as_sent(source: str) -> str:
    """Leave out of a module what is for readers of its source; every line keeps its number.

    That is comments and indentation: a third of what a visitor would wait for.
    """
    without_comments = COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), source)
    return FOR_DEVELOPERS.sub("", without_comments)
