"""Encode of one local source file into HLS renditions, a fallback, a poster and a thumbnail.

No server is needed: `encode_source.encode_source` needs a file, a folder and ffmpeg. Read
`encode_source.py` first, then `ladder.py`, `filters.py` and `encode_command.py`, in the order in
which the encode uses them.
"""
