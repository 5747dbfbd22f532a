"""The end of a command: its exit code, and its error message with the next step."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from http import HTTPStatus
from typing import Any

import typer

from cli.api_requests import ApiProblem, ApiUnreachable
from cli.command_output import CommandOutput
from cli.environment import NoCredentials
from pipeline.domain.errors import DomainError
from pipeline.domain.failures import FAILURES
from pipeline.runtime.secret_files import SecretUnreadable


class ExitCode(IntEnum):
    """Exit codes, the same for every command."""

    OK = 0
    NEGATIVE = 1
    """The command worked, and its result is bad: the video failed, or doctor found a problem."""
    USAGE = 2
    """The command line or the settings are wrong."""
    REFUSED = 3
    """The API refused: there is no such post, there is a conflict, or the token is invalid."""
    UNREACHABLE = 4
    """No answer: nothing listens, the time is over, or the server failed (5xx)."""
    INTERRUPTED = 130
    """Ctrl-C."""


class CommandFailed(Exception):
    """Failure of a command.

    Attributes:
        exit_code: The exit code of the process.
        code: Machine-readable reason.
        next_step: The action that solves it.
        details: Further members of the error as JSON.
    """

    def __init__(
        self, exit_code: ExitCode, code: str, sentence: str, next_step: str, **details: Any
    ) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
        self.code = code
        self.next_step = next_step
        self.details = details


NEXT_STEPS: Mapping[str, str] = {
    "post_not_found": "Check the post's id, and that --owner is its owner.",
    "post_has_asset": "See it with `khronika status`, or choose another --post-id.",
    "not_failed": "See its state with `khronika status`.",
    "not_active": "See its state with `khronika status`.",
    "not_completed": "See its state with `khronika status`; a failed video can be retried.",
    "nothing_to_roll_back": "Replaced outputs are kept for a day after a re-encode.",
    "status_changed": "See its present state with `khronika status`.",
    "upload_not_found": "Upload the file again.",
    "upload_incomplete": "Send the whole file again.",
    "upload_in_check": "Run the same command again in a few seconds; the upload is kept.",
    "too_many_checks": "Run the same command again in a few seconds; the upload is kept.",
    "upload_expired": "Upload the file again; the ticket has expired.",
    "token_missing": "Give --token or KHRONIKA_TOKEN.",
    "token_invalid": "Use a token of this API; `khronika token` makes one from its secret.",
    "token_expired": "Get a new token; `khronika token` makes one.",
    "role_not_allowed": "Use a token with that role: `khronika token --role`.",
    "role_not_trusted": "Use an issuer whose tokens may have that role, or allow it to this one.",
    "scope_missing": "Use a key with that scope: `khronika keys make --scope`.",
    "scope_unknown": "See `khronika keys make --help`.",
    "scopes_unsuitable": "Name the owner with --owner, or leave it out for an operator's key.",
    "key_not_found": "See the ids with `khronika keys list`.",
    "post_not_claimed": "Get a token for this post from the site, or have an operator register it.",
    "not_enrolled": "See `khronika rollout status`; `khronika rollout add` lets one owner in.",
    "rollout_changed": "See `khronika rollout status`.",
    "owner_not_listed": "See `khronika rollout owners`.",
    "owner_not_yours": "Leave the owner out, or use an operator's token.",
    "owner_id_missing": "Name the owner of the video.",
    "validation_failed": "Correct the parts named above; --help lists the valid values.",
    "unknown_provider": "Use an account that `khronika providers list` names.",
    "account_configured": (
        "Drain it and wait for its releases; or remove it from KHRONIKA_ACCOUNTS first."
    ),
    "rotation_in_progress": (
        "Run `khronika secrets retire` once the provider signs with the new secret."
    ),
    "nothing_to_retire": "See `khronika secrets list`. To replace the newest secret, rotate it.",
    "not_our_api": "Check --url (KHRONIKA_URL).",
    "posts_table_closed": "Run the statement above as the owner of the table.",
    "posts_table_missing": "Check --posts-table (KHRONIKA_POSTS_TABLE).",
    "posts_table_unsuitable": "Check --posts-table and --owner-column.",
}
"""The next step for each error code; `FAILURES` has those of failed videos."""


@contextmanager
def reporting(*, as_json: bool) -> Iterator[CommandOutput]:
    """Give a command its output, and turn an exception into an error message and an exit code."""
    output = CommandOutput(as_json=as_json)
    try:
        yield output
    except _REPORTED as error:
        failed = _failure(error)
        output.error(failed.code, str(failed), failed.next_step, **failed.details)
        raise typer.Exit(failed.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None


_REPORTED = (
    *(ApiProblem, ApiUnreachable, CommandFailed),
    *(DomainError, NoCredentials, SecretUnreadable),
)


def _failure(error: Exception) -> CommandFailed:
    match error:
        case CommandFailed():
            return error
        case ApiProblem():
            return _refusal(error)
        case ApiUnreachable(refused=refused):
            step = "Start it with `make up`, or name another address with --url (KHRONIKA_URL)."
            step = step if refused else "Try again."
            return CommandFailed(ExitCode.UNREACHABLE, "unreachable", str(error), step)
        case DomainError(code=code):
            return CommandFailed(ExitCode.REFUSED, code, str(error), _next_step(code))
        case NoCredentials():
            step = "Set one of them; a stack started with `make up` needs neither."
        case _:
            step = "Set the variable that is named."
    return CommandFailed(ExitCode.USAGE, "not_configured", str(error), step)


def _refusal(problem: ApiProblem) -> CommandFailed:
    errors = "; ".join(map(_error_text, problem.errors))
    adds = errors and not errors.endswith(problem.sentence)
    is_server_failure = problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return CommandFailed(
        ExitCode.UNREACHABLE if is_server_failure else ExitCode.REFUSED,
        problem.code,
        f"{problem.sentence} {errors}" if adds else problem.sentence,
        _next_step(problem.code, retryable=problem.retryable),
        status=problem.status,
        retryable=problem.retryable,
        request_id=problem.request_id,
    )


def _error_text(error: Mapping[str, Any]) -> str:
    place = error.get("pointer") or error.get("parameter")
    message = str(error.get("message", ""))
    return f"{place}: {message}" if place else message


def _next_step(code: str, *, retryable: bool = False) -> str:
    if code in NEXT_STEPS:
        return NEXT_STEPS[code]
    if code in FAILURES:
        return FAILURES[code].next_step
    return "Try again in a moment." if retryable else "Tell the operator, with the request's id."
