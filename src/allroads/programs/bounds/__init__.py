"""Sound bounds of what a network computes over sets of inputs or hidden states, with slopes and rounding errors."""
