"""Adapter of Cloudflare Stream: a package of its account and of the reports of its videos."""

from pipeline.providers.adapters.cloudflare_stream.stream_account import ADAPTER

__all__ = ["ADAPTER"]
