"""Position-wise programs of select and aggregate, read out of sequence networks, written into transformers."""
