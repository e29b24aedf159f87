"""The network: embedding, masking, targets, encoder, decoder and heads. `mamp` holds the shape legend."""
