"""The output of a command: text for a person, or JSON for a program."""

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from cli.terminal_text import printable


class CommandOutput:
    """The output of one command.

    Attributes:
        as_json: Stdout gets one JSON document a line and nothing else.
        console: Prints for people; silent when the output is JSON.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(quiet=as_json, highlight=False)

    def data(self, document: Mapping[str, Any]) -> None:
        """Write a JSON document for a program; print nothing for a person."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, ensure_ascii=False, default=_as_text) + "\n")
            sys.stdout.flush()

    def show(self, content: RenderableType) -> None:
        """Print for a person; the terminal wraps long lines, so that URLs can be copied."""
        self.console.print(content, soft_wrap=True)

    def error(self, code: str, sentence: str, next_step: str, **details: Any) -> None:
        """Write an error: as JSON to stdout, or for a person to stderr."""
        if self.as_json:
            error = {"code": code, "message": sentence, "next_step": next_step}
            self.data({"error": error | details})
            return
        lines = Text.assemble((printable(sentence), "red"), f" ({code})", f"\n{next_step}")
        if details.get("request_id"):
            lines.append(f"\nrequest {details['request_id']}", style="dim")
        Console(stderr=True, highlight=False).print(lines, soft_wrap=True)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
