"""Conditions for the playback of the source in place of a video that failed.

The database function behind the cards checks the conditions of the row: the video failed, nothing
is published, its owner allows it, the source was verified, and it is in our own storage. This
module checks the others: the operator's setting, the reason of the failure, and the formats that
browsers play.
"""

from collections.abc import Mapping

from pipeline.config.media_settings import MediaUrlSettings
from pipeline.content.object_urls import key_of
from pipeline.domain.failures import failure_of
from pipeline.media.browsers import plays_as_it_is


def original_key(original: Mapping[str, str | None] | None, urls: MediaUrlSettings) -> str | None:
    """Return the storage key of a source that may be played; None if it may not.

    Args:
        original: A card's member ``original``: the source's address and facts, and the code of the
            failure.
    """
    if original is None or not urls.original_playback:
        return None
    if failure_of(original["error_code"] or "").refuses_source or not plays_as_it_is(original):
        return None
    return key_of(original["address"] or "")
