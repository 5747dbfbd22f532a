"""Which posts a query names."""

from http import HTTPStatus
from uuid import UUID

from api.documents.schemas import MAX_CARDS
from api.http.problems import Problem


def read_post_ids(text: str) -> list[UUID]:
    """The posts of a comma-separated list, each once, in the order they are named.

    Raises:
        Problem: 422 ``validation_failed``: too many, or one that is no UUID.
    """
    named = [part.strip() for part in text.split(",") if part.strip()]
    if len(named) > MAX_CARDS:
        raise wrong_parameter("post_ids", f"names more than {MAX_CARDS} posts")
    try:
        return list(dict.fromkeys(UUID(part) for part in named))
    except ValueError:
        raise wrong_parameter("post_ids", "holds something that is not a UUID") from None


def wrong_parameter(parameter: str, message: str) -> Problem:
    """The problem of one parameter of the query, named by it."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "validation_failed",
        f"{parameter} {message}.",
        errors=[{"parameter": parameter, "message": message}],
    )
