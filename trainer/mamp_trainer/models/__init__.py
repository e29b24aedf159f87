"""The networks, encoder, decoder and heads. `mamp` holds the shape legend."""
