"""Providers of video processing: the boundary, the adapters and the configured accounts."""
