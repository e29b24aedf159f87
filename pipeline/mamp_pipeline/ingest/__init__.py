"""Ingest, from raw files to a finished store. A deterministic plan, parts parsed, shards packed, metadata last."""
