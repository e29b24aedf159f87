"""Pure pydantic models of everything that is written to files or read from them."""
