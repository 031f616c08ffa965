"""H1, H2 and H3 in worlds where programs and the map between them are known."""
