"""Every route of the application, and who is let in where."""

from collections.abc import Mapping
from typing import Any, NamedTuple

OWNER_A, OWNER_B, VISITOR, READER, OPERATOR = "owner A", "owner B", "visitor", "reader", "operator"
PERSONS = (OWNER_A, OWNER_B, VISITOR, READER, OPERATOR)
KEYS: Mapping[str, tuple[bool, str]] = {
    "key assets:write": (True, "assets:write"),
    "key assets:read": (True, "assets:read"),
    "key playback": (True, "playback"),
    "key operator:read": (False, "operator:read"),
    "key operator": (False, "operator"),
}
"""Keys: whether it is owner A's, and its scope."""
ACTORS = (*PERSONS, *KEYS)

# How the application answers each of ACTORS, in their order, about owner A's video or upload:
# `+` lets in, whatever it then says; `1` is 401, `3` 403, `4` 404.
READS = "+41++ 3+3++"
CHANGES = "+413+ +333+"
SHOWS = "+44++ 3++++"
SHOWS_AND_READS = "+++++ 3+3++"
ANYBODY = "+++++ +++++"
OPERATORS = "331++ 333++"
OPERATE = "3313+ 3333+"
WHOEVER_IS_KNOWN = "++1++ 3+3++"
UNSIGNED = "11111 11111"
NOTHING_THERE = "44444 44444"


class Probe(NamedTuple):
    """A request that aims at what is owner A's.

    Attributes:
        path: ``{post}`` and ``{upload}`` stand for the ids of what is aimed at.
        answers: How each of ``ACTORS`` is answered.
        body: JSON to send; its texts may hold the same.
        hides: Whether owner B must not be able to tell what is A's from what is not there.
    """

    path: str
    answers: str
    body: Mapping[str, Any] | None = None
    hides: bool = False


ASSETS, UPLOADS = "/api/video-assets", "/api/uploads"
POST = {"post_id": "{post}"}
FILE = {"filename": "a.mp4", "size_bytes": 1000, "mime_type": "video/mp4"}
SOURCE = {"source_url": "https://videos.example/other.mp4"}

ROUTES: Mapping[str, tuple[Probe, ...]] = {
    f"POST {ASSETS}/create": (Probe(f"{ASSETS}/create", CHANGES, POST | SOURCE, hides=True),),
    f"POST {ASSETS}/retry": (Probe(f"{ASSETS}/retry", CHANGES, POST, hides=True),),
    f"GET {ASSETS}/<uuid:post_id>": (Probe(f"{ASSETS}/{{post}}", READS, hides=True),),
    f"GET {ASSETS}/<uuid:post_id>/events": (Probe(f"{ASSETS}/{{post}}/events", READS, hides=True),),
    f"POST {ASSETS}/<uuid:post_id>/cancel": (
        Probe(f"{ASSETS}/{{post}}/cancel", CHANGES, hides=True),
    ),
    f"POST {ASSETS}/<uuid:post_id>/reencode": (
        Probe(f"{ASSETS}/{{post}}/reencode", CHANGES, hides=True),
    ),
    f"DELETE {ASSETS}/<uuid:post_id>": (Probe(f"{ASSETS}/{{post}}", CHANGES, hides=True),),
    # The one exception (law 11): everybody sees a card, but not a signed video's, as here.
    f"GET {ASSETS}/<uuid:post_id>/playback": (
        Probe(f"{ASSETS}/{{post}}/playback", SHOWS, hides=True),
    ),
    # Everybody's cards, and to whoever brings a credential also what it lets them read.
    f"GET {ASSETS}": (
        Probe(f"{ASSETS}?post_ids={{post}}", SHOWS_AND_READS),
        Probe(f"{ASSETS}?status=queued", OPERATORS),
    ),
    "GET /api/video-assets/stream": (Probe(f"{ASSETS}/stream?post_ids={{post}}", ANYBODY),),
    "GET /api/providers": (Probe("/api/providers", OPERATORS),),
    "POST /api/providers/<name>/state": (
        Probe("/api/providers/selfhosted/state", OPERATE, {"state": "enabled"}),
    ),
    "POST /api/stream-tickets": (Probe("/api/stream-tickets", WHOEVER_IS_KNOWN),),
    f"POST {UPLOADS}": (Probe(UPLOADS, CHANGES, POST | FILE, hides=True),),
    f"POST {UPLOADS}/<uuid:upload_id>/complete": (
        Probe(f"{UPLOADS}/{{upload}}/complete", CHANGES, hides=True),
    ),
    # The ticket's header is the authority, and whoever comes without it finds nothing.
    f"GET {UPLOADS}/<uuid:upload_id>": (Probe(f"{UPLOADS}/{{upload}}", NOTHING_THERE, hides=True),),
    f"DELETE {UPLOADS}/<uuid:upload_id>": (
        Probe(f"{UPLOADS}/{{upload}}", NOTHING_THERE, hides=True),
    ),
    f"PUT {UPLOADS}/<uuid:upload_id>/content": (
        Probe(f"{UPLOADS}/{{upload}}/content", NOTHING_THERE, hides=True),
    ),
    f"POST {UPLOADS}/<uuid:upload_id>/parts": (
        Probe(f"{UPLOADS}/{{upload}}/parts", NOTHING_THERE, {"numbers": [1]}, hides=True),
    ),
    f"PUT {UPLOADS}/<uuid:upload_id>/parts/<int:number>": (
        Probe(f"{UPLOADS}/{{upload}}/parts/1", NOTHING_THERE, hides=True),
    ),
    f"POST {UPLOADS}/<uuid:upload_id>/parts/<int:number>": (
        Probe(f"{UPLOADS}/{{upload}}/parts/1", NOTHING_THERE, {"etag": "e"}, hides=True),
    ),
    # The provider's signature is the authority.
    f"POST {ASSETS}/webhook": (Probe(f"{ASSETS}/webhook", UNSIGNED, {}),),
    f"POST {ASSETS}/webhook/<provider>": (Probe(f"{ASSETS}/webhook/selfhosted", UNSIGNED, {}),),
    # The token in the path is the authority; `public` opens outputs and never an original.
    "GET /media/<token>/<path:key>": (
        Probe("/media/public/original/{owner}/{post}/{upload}/source.mp4", NOTHING_THERE),
        Probe("/media/forged/original/{owner}/{post}/{upload}/source.mp4", "33333 33333"),
    ),
    "GET /media/videos/<uuid:asset_id>/<name>": (
        Probe("/media/videos/{upload}/manifest.m3u8", NOTHING_THERE),
    ),
    "GET /media/<token>/videos/<uuid:asset_id>/<name>": (
        Probe("/media/forged/videos/{upload}/manifest.m3u8", "33333 33333"),
    ),
    "GET /healthz": (Probe("/healthz", ANYBODY),),
    "GET /readyz": (Probe("/readyz", ANYBODY),),
    "GET /metrics": (Probe("/metrics", ANYBODY),),
    "GET /docs": (Probe("/docs", ANYBODY),),
    "GET /openapi.json": (Probe("/openapi.json", ANYBODY),),
    "GET /web/<path:name>": (Probe("/web/player/playback.js", ANYBODY),),
    "GET /web/vendor/<library>/<version>/<name>": (
        Probe("/web/vendor/hls.js/0.0.0/LICENSE", NOTHING_THERE),
    ),
}
"""What to ask of every route, by method and rule."""
