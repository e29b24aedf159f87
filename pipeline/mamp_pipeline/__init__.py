"""From raw skeleton files to a zarr store and its split manifests."""
