"""Ways to move a population through parameter space, one algorithm per file, with counted cost."""
