"""From one local source file to a folder of HLS renditions, a fallback, a poster and a thumbnail.

Pure of servers: `produce.encode` needs a file, a folder and ffmpeg. Read `produce.py` first, then
`ladder.py`, `filters.py` and `command.py` in the order the encode uses them.
"""
