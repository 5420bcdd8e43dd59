"""The case base: manifest, stores, ingest and search."""
