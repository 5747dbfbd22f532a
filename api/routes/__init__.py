"""One module for each kind of thing a caller addresses."""
