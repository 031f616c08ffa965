"""A study: configuration, cells, store, engines."""
