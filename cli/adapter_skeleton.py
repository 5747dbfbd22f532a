"""The command `khronika providers new`: the skeleton of an adapter, for its author to fill in."""

import re
from pathlib import Path
from string import Template
from typing import Annotated

import typer
from rich.text import Text

from cli.command_errors import CommandFailed, ExitCode
from cli.command_output import CommandOutput
from cli.options import with_output

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

SKELETON = Template('''"""Adapter of $title (https://docs.example/)."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from pydantic import AnyHttpUrl, SecretStr

from pipeline.config.account_settings import AccountSettings
from pipeline.domain.errors import TerminalProviderError
from pipeline.domain.values import (
    CallbackEnvelope,
    JobRef,
    ListedJob,
    LookAtJob,
    ProviderStatus,
    SignedCallback,
    SubmitRequest,
    Submitted,
)
from pipeline.net.provider_signatures import check_opaque_secret
from pipeline.net.signatures import Rejection, SignatureRejected
from pipeline.providers import base, transport


class Settings(AccountSettings):
    """An account of $title."""

    api_key: SecretStr
    """API key."""
    api_url: AnyHttpUrl = AnyHttpUrl("https://api.example")
    """Address of the API."""


class $class_name(base.SimpleProvider):
    """The adapter of one account. ``SimpleProvider`` has the methods that it may leave out."""

    def __init__(self, opening: base.Opening) -> None:
        settings: Settings = opening.settings
        self.name = opening.name
        # The vendor's published limits, and everything else that it can do.
        self.capabilities = base.Capabilities(idempotent_submit=False, margin_sec=30)
        self.trust = base.Trust(settings.output_hosts, settings.webhook_sources)
        self._http = transport.ProviderHttp(
            str(settings.api_url),
            headers={"Authorization": f"Bearer {settings.api_key.get_secret_value()}"},
            timeout_sec=opening.timeout_sec,
            explain=_explain,
        )

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._http.close()

    def submit(self, request: SubmitRequest) -> Submitted:
        """Submit a job that carries our attempt's id."""
        raise _missing("submit")

    def find(self, job: JobRef) -> ProviderStatus | None:
        """Look a job up by our attempt's id."""
        raise _missing("find")

    def fetch(self, job: JobRef) -> ProviderStatus | None:
        """Fetch the state of a job."""
        raise _missing("fetch")

    def cancel(self, job: JobRef) -> None:
        """End a job and delete its outputs."""
        raise _missing("cancel")

    def list_since(self, instant: datetime) -> Iterator[ListedJob]:
        """Yield every job that the vendor bills, made since an instant."""
        raise _missing("list_since")

    def verify_callback(
        self, envelope: CallbackEnvelope, secrets: Sequence[str], now: datetime
    ) -> SignedCallback:
        """Check the signature over the raw body."""
        raise SignatureRejected(Rejection.BAD_SIGNATURE)

    def read_callback(self, envelope: CallbackEnvelope) -> ProviderStatus | LookAtJob | None:
        """Turn a verified callback into our words."""
        raise base.CallbackUnreadable("read_callback is not written yet")


ADAPTER = base.Adapter(Settings, $class_name, base.SecretFormat(check_opaque_secret))


def _missing(method: str) -> TerminalProviderError:
    """Return the error of a method that is still to be written."""
    return TerminalProviderError("provider_refused", f"{method} is not written yet")


def _explain(answer: transport.VendorAnswer) -> transport.VendorError:
    """Return the vendor's words about an error, without addresses and secrets."""
    return transport.VendorError(f"answered {answer.status}")
''')


@with_output
def new_adapter(
    output: CommandOutput,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the adapter.")],
    *,
    path: Annotated[
        Path | None,
        typer.Option(help="File to write, in another package. Default: a module of ours."),
    ] = None,
) -> None:
    """Write the skeleton of an adapter. A file that exists is never overwritten.

    Each method is a stub with its types, and refuses with its own name until it is written. The
    conformance suite reports what is missing: docs/providers/writing-one.md.
    """
    from pipeline.providers import adapters
    from pipeline.providers.registry import adapter_names

    if NAME.fullmatch(name) is None:
        step = "Use lower-case letters, digits and underscores, a letter first, 40 at most."
        raise CommandFailed(ExitCode.USAGE, "name_invalid", f"{name!r} names no adapter.", step)
    if name in adapter_names():
        step = "Choose another name."
        raise CommandFailed(
            ExitCode.USAGE, "adapter_exists", f"There is an adapter {name!r}.", step
        )
    file = path or Path(adapters.__path__[0]) / f"{name}.py"
    _write(file, SKELETON.substitute(title=_title(name), class_name=_class_name(name)))
    steps = _next_steps(name, file, is_ours=path is None)
    output.data({"adapter": name, "path": str(file), "next_steps": steps})
    output.show(Text("\n  ".join([f"written: {file}", *steps])))


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x") as written:
            written.write(text)
    except FileExistsError:
        step = "Remove the file, or choose another --path."
        raise CommandFailed(ExitCode.USAGE, "file_exists", f"{file} exists.", step) from None
    except OSError as error:
        step = "Choose a --path in a folder that exists and that you may write to."
        raise CommandFailed(ExitCode.USAGE, "not_writable", str(error), step) from None


def _next_steps(name: str, file: Path, *, is_ours: bool) -> list[str]:
    steps = [f"Write a fake of the vendor, tests/vendors/{name}.py: docs/providers/writing-one.md"]
    if not is_ours:
        entry = f'{name} = "{_module_of(file)}:ADAPTER"'
        steps = [f'Add to pyproject.toml: [project.entry-points."khronika.adapters"] {entry}']
    return [*steps, "Run the conformance suite: python -m pytest -n 0 tests/contract/providers"]


def _module_of(file: Path) -> str:
    """Return the name by which a file is imported: its packages are the folders with an init."""
    parts, folder = [file.stem], file.resolve().parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts)


def _title(name: str) -> str:
    return name.replace("_", " ").title()


def _class_name(name: str) -> str:
    return _title(name).replace(" ", "")
