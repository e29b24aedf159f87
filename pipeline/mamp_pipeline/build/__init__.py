"""Ingest: a deterministic plan, parts parsed into staged pieces, shards packed from them, metadata last."""
