"""Synthetic raw files in the NTU format: movement a classifier can tell apart, and the faults of real files."""

from mamp_pipeline.synth.text import make_clip_text
from mamp_pipeline.synth.write import synthesise

__all__ = ["make_clip_text", "synthesise"]
