"""One module per system that can rank a gallery for a query."""
