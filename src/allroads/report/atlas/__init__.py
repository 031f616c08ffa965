"""The atlas as the page shows it: its tables by grid, the merge tree, and what the panel of a program says."""
