"""A small site that shows its visitors' videos: a client of the public API alone."""
