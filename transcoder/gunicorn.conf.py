# ruff: noqa: N999 - gunicorn's own name for the file
"""Settings of the transcoder's gunicorn that its command line does not show."""

from pipeline.net.client_bounds import most_connections

worker_class = "pipeline.net.bounded_worker.BoundedWorker"
"""Worker with threads that no slow client occupies for long; its default bounds apply."""
worker_connections = most_connections()
sendfile = False
"""Every byte passes our own socket, which bounds the time of waiting for the client."""

# The transcoder's clients call it directly. By default gunicorn lets every client on this machine
# choose the scheme, the path (SCRIPT_NAME, PATH_INFO) and other variables of a request.
forwarded_allow_ips = ""
"""No address may set a header for gunicorn; a peer on a Unix socket may, whatever this says."""
secure_scheme_headers: dict[str, str] = {}
"""No header is the scheme of a request."""
forwarder_headers = ""
"""No header replaces a variable of the request."""
header_map = "drop"
"""A header with an underscore is removed: it would be read as the one with a hyphen."""
