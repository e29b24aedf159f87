"""Own recordings: files that a layout describes, bytes in, bodies out."""

from mamp_pipeline.raw.custom.format import CustomFormat

__all__ = ["CustomFormat"]
