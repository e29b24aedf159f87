"""Trained networks as files that run without this package: ONNX, and torch's own export."""
