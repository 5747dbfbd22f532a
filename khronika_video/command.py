"""The command ``khronika``, which first checks that the modules it is about to import are ours."""

from khronika_video.own_modules import require_own_modules


def main() -> None:
    """Run the command line."""
    require_own_modules()
    from cli.main import app  # noqa: PLC0415 - after the check

    app()
