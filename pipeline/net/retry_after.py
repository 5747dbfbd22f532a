"""Reader of the Retry-After header."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_SEC = 24 * 3600.0
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def retry_after_of(text: str) -> float | None:
    """Return the wait of a Retry-After: seconds or a date (RFC 9110, section 10.2.3)."""
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER_SEC)
    try:
        instant = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    wait_sec = (aware - datetime.now(UTC)).total_seconds()
    return min(max(wait_sec, 0.0), MAX_RETRY_AFTER_SEC)
