"""The charts of the report, one a file; the page and the figures draw the same ones."""
