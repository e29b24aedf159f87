"""Lists and reads raw files in folders, zip archives and buckets."""
