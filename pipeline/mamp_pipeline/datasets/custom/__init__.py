"""Own recordings that a layout describes, in CSV, JSON or npy files."""

from mamp_pipeline.datasets.custom.recordings import parse_recording, parse_recording_path, read_recording

__all__ = ["parse_recording", "parse_recording_path", "read_recording"]
