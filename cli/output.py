"""Where a command's words go: to a person, or as JSON to a program. Never both on stdout."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from cli.words import printable


class Output:
    """The two ways a command speaks.

    Attributes:
        as_json: One JSON document a line on stdout, and nothing else there.
        console: For people. Silent when the output is for a program.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(quiet=as_json, highlight=False)

    def data(self, document: Mapping[str, Any]) -> None:
        """Give a program one document; a person sees nothing of it."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, ensure_ascii=False, default=str) + "\n")
            sys.stdout.flush()

    def show(self, words: RenderableType) -> None:
        """Tell a person; long lines are left to the terminal, so that addresses can be copied."""
        self.console.print(words, soft_wrap=True)

    def error(self, code: str, sentence: str, next_step: str, **details: Any) -> None:
        """Say what went wrong: sentence, code and next step; to a person on stderr."""
        if self.as_json:
            said = {"code": code, "message": sentence, "next_step": next_step}
            self.data({"error": said | details})
            return
        lines = Text.assemble((printable(sentence), "red"), f" ({code})", f"\n{next_step}")
        if details.get("request_id"):
            lines.append(f"\nrequest {details['request_id']}", style="dim")
        Console(stderr=True, highlight=False).print(lines, soft_wrap=True)
