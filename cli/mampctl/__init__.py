"""Masked motion prediction on 3D skeletons, from Python and from the command line."""
