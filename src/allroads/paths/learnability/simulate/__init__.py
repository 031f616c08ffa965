"""The linearised path of training: segments on which the linearised map holds, and an optimiser's steps along them."""
