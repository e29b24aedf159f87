"""Own recordings: files that a layout describes, bytes in, bodies out."""

from mamp_pipeline.raw.custom.recordings import find_recording, open_recording, parse_recording

__all__ = ["find_recording", "open_recording", "parse_recording"]
