"""Own recordings: files that a layout describes, bytes in, bodies out."""

from mamp_pipeline.raw.custom.recordings import parse_recording_path, read_recording, parse_recording

__all__ = ["parse_recording_path", "read_recording", "parse_recording"]
