"""Which sources a caller may name."""

from api.http.problems import Problem, invalid
from pipeline.content.object_urls import key_of, owner_prefix
from pipeline.net.fetch import FetchPolicy, FetchRefused, check_url
from pipeline.storage.base import KeyRefused, check_key


def check_source(address: str, owner_id: str, policy: FetchPolicy) -> None:
    """Hold a ``source_url`` to what can be said of it without touching it.

    Raises:
        Problem: 422 ``url_refused``.
    """
    key = key_of(address)
    try:
        if key is None:
            check_url(address, policy)
        elif not check_key(key).startswith(owner_prefix(owner_id)):
            raise _refused("Only what you have uploaded yourself can be named by its key.")
    except FetchRefused as error:
        raise _refused(error.detail) from error
    except KeyRefused as error:
        raise _refused("The storage key is malformed.") from error


def _refused(detail: str) -> Problem:
    return invalid("source_url", detail, code="url_refused")
