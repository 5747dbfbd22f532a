"""Command that removes leftovers, as the sweep does every few seconds, and prints their bytes.

python -m transcoder.clean --dry-run
"""

import argparse
import sys

from pipeline.runtime.filed_settings import SettingsInvalid
from transcoder.leftovers import clean_outputs, clean_scratch
from transcoder.services import make_services
from transcoder.settings import load_settings


def main() -> int:
    """Clean this machine's scratch folder and the storages; return 2 if the settings are wrong."""
    parser = argparse.ArgumentParser(prog="python -m transcoder.clean")
    parser.add_argument("--dry-run", action="store_true", help="count the bytes, remove nothing")
    dry_run = parser.parse_args().dry_run
    try:
        services = make_services(load_settings())
    except SettingsInvalid as error:
        sys.stderr.write(f"{error}\n")
        return 2
    verb = "reclaimable" if dry_run else "reclaimed"
    scratch = clean_scratch(services, dry_run=dry_run)
    outputs = clean_outputs(services, dry_run=dry_run)
    sys.stdout.write(f"scratch: {scratch} bytes {verb}\n")
    sys.stdout.write(f"outputs of jobs without a result: {outputs} bytes {verb}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
