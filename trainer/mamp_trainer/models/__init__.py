"""The networks: encoder, decoder, and the encoder of whole clips. `mamp` holds the shape legend."""
