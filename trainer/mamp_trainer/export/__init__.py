"""Trained networks as files that run without this package, in ONNX and torch's own export."""

import os

# onnxruntime's own builds report what they run to its makers, and keep an identity of the machine in the home folder,
# from the moment it is imported. Who wants that may set the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
