"""Cleaning: from the body records of a raw file to a clip. Pure."""
