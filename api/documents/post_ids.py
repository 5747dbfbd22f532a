"""The posts that a query names."""

from http import HTTPStatus
from uuid import UUID

from api.documents.schemas import MAX_CARDS
from api.http.problems import Problem
from pipeline.runtime.ids import read_id


def read_post_ids(text: str) -> list[UUID]:
    """Return the posts of a comma-separated list in their order, without repetitions.

    Raises:
        Problem: 422 ``validation_failed``: there are too many, or one is no UUID.
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    if len(names) > MAX_CARDS:
        raise invalid_parameter("post_ids", f"names more than {MAX_CARDS} posts")
    try:
        return list(dict.fromkeys(read_id(name) for name in names))
    except ValueError:
        raise invalid_parameter("post_ids", "contains an entry that is not a UUID") from None


def invalid_parameter(parameter: str, message: str) -> Problem:
    """Return the problem of one parameter of the query, which it names."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "validation_failed",
        f"{parameter} {message}.",
        errors=[{"parameter": parameter, "message": message}],
    )
