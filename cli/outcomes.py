"""How a command ends: its exit code, and what it says of an error."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from http import HTTPStatus
from typing import Any

import typer

from cli.client import ApiProblem, ApiUnreachable
from cli.environment import NoCredentials
from cli.output import Output
from pipeline.errors import DomainError
from pipeline.failures import FAILURES
from pipeline.net.secret_files import SecretUnreadable


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    OK = 0
    NEGATIVE = 1
    """It worked, and the answer is bad: the video failed, doctor found a problem."""
    USAGE = 2
    """The command line or the settings are wrong."""
    REFUSED = 3
    """The API refused: no such post, a conflict, a token it does not accept."""
    UNREACHABLE = 4
    """No answer: nothing listens, a timeout, or trouble on the other side (5xx)."""
    INTERRUPTED = 130
    """Ctrl-C."""


class CommandFailed(Exception):
    """A command cannot do what it was asked.

    Attributes:
        exit_code: How it ends.
        code: Machine-readable reason.
        next_step: What to do about it.
    """

    def __init__(self, exit_code: Exit, code: str, sentence: str, next_step: str) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
        self.code = code
        self.next_step = next_step


NEXT_STEPS: Mapping[str, str] = {
    "post_not_found": "Check the post's id, and that --owner is its owner.",
    "post_has_asset": "See it with `khronika status`, or choose another --post-id.",
    "not_failed": "See where it is with `khronika status`.",
    "not_active": "See where it is with `khronika status`.",
    "not_completed": "See where it is with `khronika status`; a failed one can be retried.",
    "nothing_to_roll_back": "Outputs are kept for a day after a re-encode replaced them.",
    "status_changed": "See where it is now with `khronika status`.",
    "upload_not_found": "Upload the file again.",
    "upload_incomplete": "Send the whole file again.",
    "upload_expired": "Upload the file again; tickets do not live for ever.",
    "token_missing": "Give --token or KHRONIKA_TOKEN.",
    "token_invalid": "Is it a token of this API? `khronika token` makes one from its secret.",
    "token_expired": "Get a new token; `khronika token` makes one.",
    "role_not_allowed": "Use a token with that role: `khronika token --role`.",
    "role_not_trusted": "Ask an issuer that makes operators, or have it configured as one.",
    "scope_missing": "Use a key with that scope: `khronika keys make --scope`.",
    "scope_unknown": "See `khronika keys make --help`.",
    "scopes_unsuitable": "Name the owner with --owner, or leave it out for an operator's key.",
    "key_not_found": "See their ids with `khronika keys list`.",
    "post_not_claimed": "Get a token for this post from the site, or have an operator register it.",
    "owner_not_yours": "Leave the owner out, or use an operator's token.",
    "owner_id_missing": "Say whose video it is.",
    "validation_failed": "Correct what is named above; --help says what is expected.",
    "unknown_provider": "See `khronika secrets list`, and the settings for the accounts there are.",
    "rotation_in_progress": "End it with `khronika secrets retire`, once the provider signs anew.",
    "nothing_to_retire": "See `khronika secrets list`; to replace the newest, rotate it.",
    "not_our_api": "Check --url (KHRONIKA_URL).",
    "posts_table_closed": "Run what is said above as the owner of the table.",
    "posts_table_missing": "Check --posts-table (KHRONIKA_POSTS_TABLE).",
    "posts_table_unsuitable": "Check --posts-table and --owner-column.",
}
"""What to do about a code of the API; the codes of failed videos bring their own next step."""


@contextmanager
def reporting(as_json: bool) -> Iterator[Output]:
    """Give a command its output, and turn what goes wrong into a message and an exit code."""
    output = Output(as_json)
    try:
        yield output
    except ApiProblem as problem:
        _report_problem(output, problem)
        on_their_side = problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        raise typer.Exit(Exit.UNREACHABLE if on_their_side else Exit.REFUSED) from None
    except ApiUnreachable as error:
        step = "Start it with `make up`, or name another address with --url (KHRONIKA_URL)."
        output.error("unreachable", str(error), step if error.refused else "Try again.")
        raise typer.Exit(Exit.UNREACHABLE) from None
    except DomainError as error:
        output.error(error.code, str(error), _next_step(error.code))
        raise typer.Exit(Exit.REFUSED) from None
    except NoCredentials as error:
        step = "Set one of them; a stack started with `make up` needs neither."
        output.error("not_configured", str(error), step)
        raise typer.Exit(Exit.USAGE) from None
    except SecretUnreadable as error:
        output.error("not_configured", str(error), "Set the variable that is named.")
        raise typer.Exit(Exit.USAGE) from None
    except CommandFailed as failed:
        output.error(failed.code, str(failed), failed.next_step)
        raise typer.Exit(failed.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None


def _report_problem(output: Output, problem: ApiProblem) -> None:
    wrong = "; ".join(_place(error) + str(error.get("message", "")) for error in problem.errors)
    is_told = wrong and not wrong.endswith(problem.sentence)
    output.error(
        problem.code,
        f"{problem.sentence} {wrong}" if is_told else problem.sentence,
        _next_step(problem.code, retryable=problem.retryable),
        status=problem.status,
        retryable=problem.retryable,
        request_id=problem.request_id,
    )


def _place(error: Mapping[str, Any]) -> str:
    place = error.get("pointer") or error.get("parameter")
    return f"{place}: " if place else ""


def _next_step(code: str, *, retryable: bool = False) -> str:
    if code in NEXT_STEPS:
        return NEXT_STEPS[code]
    if code in FAILURES:
        return FAILURES[code].next_step
    return "Try again in a moment." if retryable else "Tell the operator, with the request's id."
