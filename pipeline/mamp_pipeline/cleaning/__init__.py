"""Cleaning, from the body records of a raw file to a clip. Pure."""

from mamp_pipeline.cleaning.clip import make_clip

__all__ = ["make_clip"]
