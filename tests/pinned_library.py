"""The library of the player, in the version that its package file pins."""

import json

from stack.home import CHECKOUT

HLS_VERSION = str(
    json.loads((CHECKOUT / "web" / "package.json").read_text())["dependencies"]["hls.js"]
)
HLS_FOLDER = f"/web/vendor/hls.js/{HLS_VERSION}"
HLS_JS = f"{HLS_FOLDER}/hls.light.min.mjs"
