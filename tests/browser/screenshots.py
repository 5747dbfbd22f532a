"""``make screenshots``: the pictures of docs/screenshots."""

import sys
from collections.abc import Callable
from pathlib import Path

from stack.home import CHECKOUT
from tests.browser import element_pictures, stack_pictures
from tests.browser.camera import Camera, open_camera
from tests.browser.conftest import MISSING

FOLDER = CHECKOUT / "docs" / "screenshots"
ALBUMS: dict[str, Callable[[Camera, Path], None]] = {
    "element": element_pictures.take,
    "stack": stack_pictures.take,
}


def main(wanted: list[str]) -> None:
    """Take the pictures of these albums; of all albums if none is named."""
    FOLDER.mkdir(exist_ok=True)
    with open_camera() as camera:
        if camera is None:
            sys.exit(f"screenshots: {MISSING}")
        for name in wanted or ALBUMS:
            ALBUMS[name](camera, FOLDER)
    pictures = [path.stat().st_size for path in FOLDER.glob("*.webp")]
    print(f"screenshots: {len(pictures)} pictures, {sum(pictures) / 2**20:.1f} MiB in all")


if __name__ == "__main__":
    main(sys.argv[1:])
