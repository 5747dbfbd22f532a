"""The adapters: one module for each vendor. ``pipeline.providers.registry`` finds them by name."""
