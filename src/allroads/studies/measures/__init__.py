"""What a study measures: one file for each measure, all of them nodes of one graph."""
