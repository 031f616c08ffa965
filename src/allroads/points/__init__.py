"""What the map encodes at one point of parameter space."""
