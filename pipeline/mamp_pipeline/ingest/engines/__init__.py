"""Engines that run the tasks of an ingest, in this process or on Dask."""
