"""The fetch of a published MP4 as a player does it."""

from http import HTTPStatus

import requests

from cli.api_requests import TIMEOUT_SEC, open_session

FIRST_BYTES = 64 * 1024
"""Bytes that are fetched: the header of an MP4 whose index stands in front."""
BRAND = slice(4, 8)
"""Place of the word ``ftyp`` in an MP4 (ISO/IEC 14496-12, 4.3)."""


def plays(url: str) -> bool:
    """Fetch the beginning of an MP4 by Range; return whether a player could play and seek it."""
    span = {"Range": f"bytes=0-{FIRST_BYTES - 1}"}
    try:
        with (
            open_session(url) as session,
            session.get(url, headers=span, timeout=TIMEOUT_SEC, stream=True) as answer,
        ):
            begins = next(answer.iter_content(FIRST_BYTES), b"")
    except requests.RequestException:
        return False
    is_mp4 = answer.headers.get("Content-Type", "").startswith("video/mp4")
    return answer.status_code == HTTPStatus.PARTIAL_CONTENT and is_mp4 and begins[BRAND] == b"ftyp"
