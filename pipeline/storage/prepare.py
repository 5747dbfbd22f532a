"""Set-up of a storage in a folder: ``python -m pipeline.storage.prepare``.

It makes the folder that ``STORAGE_URL`` names, and marks it. A bucket needs no mark: a bucket that
is away refuses every request.
"""

import os
import sys
from urllib.parse import urlsplit

from pipeline.storage.local import prepare_folder
from pipeline.storage.urls import StorageUrlInvalid, folder_of


def prepare_storage(url: str) -> bool:
    """Mark the folder of a storage; return false for a storage that is no folder.

    Raises:
        StorageUrlInvalid: The URL names no folder.
        OSError: The folder cannot be made or written.
    """
    parts = urlsplit(url)
    if parts.scheme != "file":
        return False
    prepare_folder(folder_of(parts))
    return True


def _main() -> None:
    try:
        is_folder = prepare_storage(os.environ["STORAGE_URL"])
    except KeyError:
        sys.exit("STORAGE_URL is not set")
    except (StorageUrlInvalid, OSError) as error:
        sys.exit(f"the storage cannot be prepared: {error}")
    sys.stdout.write("prepared\n" if is_folder else "a bucket needs no preparation\n")


if __name__ == "__main__":
    _main()
