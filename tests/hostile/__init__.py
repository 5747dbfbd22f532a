"""Files that are made to break whoever opens them, built when a test runs and never stored."""
