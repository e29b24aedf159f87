"""Plug-ins for mampctl, one file each: a dataset, a pre-training objective and an evaluation protocol."""
