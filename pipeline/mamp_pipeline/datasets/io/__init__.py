"""Where raw bytes come from, in folders, zip archives and buckets."""
