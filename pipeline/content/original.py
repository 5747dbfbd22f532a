"""When the source itself may stand in for a video that failed.

What the row alone can rule out, the database function behind the cards has: the video failed and
nothing is published, its owner allows it, and the source passed verification and lies in our own
storage. Here is the rest: what the operator says, why it failed, and what browsers play.
"""

from collections.abc import Mapping

from pipeline.config.media_settings import MediaUrlSettings
from pipeline.content.object_urls import key_of
from pipeline.domain.failures import failure_of
from pipeline.media.browsers import plays_as_it_is


def original_key(original: Mapping[str, str | None] | None, urls: MediaUrlSettings) -> str | None:
    """The storage key of a source that may be played as it is.

    Args:
        original: The member of that name of a card: the source's address and facts, and the code
            of the failure.
    """
    if original is None or not urls.original_playback:
        return None
    if failure_of(original["error_code"] or "").refuses_source or not plays_as_it_is(original):
        return None
    return key_of(original["address"] or "")
