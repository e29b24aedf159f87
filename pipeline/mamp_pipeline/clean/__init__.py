"""Cleaning: from the body records of a raw file to a clip, pure."""

from mamp_pipeline.clean.clip import make_clip

__all__ = ["make_clip"]
