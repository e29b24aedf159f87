"""The ledger: what runs have left in their folders, read and compared; never torch."""
