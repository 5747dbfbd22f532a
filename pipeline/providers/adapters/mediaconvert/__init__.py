"""Adapter of AWS Elemental MediaConvert: a package, because it writes and reads long jobs."""

from pipeline.providers.adapters.mediaconvert.account import ADAPTER

__all__ = ["ADAPTER"]
