"""The HTTP API of the pipeline: routes parse, authorise, call a use case and answer."""
