"""The sources that a caller may name."""

from api.http.problems import Problem, invalid
from pipeline.content.object_urls import key_of, owner_prefix
from pipeline.net.fetch import FetchPolicy, FetchRefused, check_url
from pipeline.storage.base import KeyRefused, check_key


def check_source(address: str, owner_id: str, policy: FetchPolicy) -> None:
    """Refuse a ``source_url`` that cannot be allowed; nothing is requested from it.

    Raises:
        Problem: 422 ``url_refused``.
    """
    key = key_of(address)
    try:
        if key is None:
            check_url(address, policy)
        elif not check_key(key).startswith(owner_prefix(owner_id)):
            raise _refused("Only your own uploads can be named by their key.")
    except FetchRefused as error:
        raise _refused(error.detail) from error
    except KeyRefused as error:
        raise _refused("The storage key is malformed.") from error


def _refused(detail: str) -> Problem:
    return invalid("source_url", detail, code="url_refused")
