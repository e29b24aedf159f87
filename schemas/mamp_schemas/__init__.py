"""The domain of `mampctl`: its models, constants and errors, shared by pipeline, trainer and command line."""
