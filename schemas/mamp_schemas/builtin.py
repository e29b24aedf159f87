"""The datasets, objectives and protocols that come along; no other module but their own knows their names."""
