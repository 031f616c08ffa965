"""Ways to move through parameter space, one algorithm a file, with counted cost."""
