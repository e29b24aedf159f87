"""Raw formats: bytes in, bodies out; and where the bytes come from."""
