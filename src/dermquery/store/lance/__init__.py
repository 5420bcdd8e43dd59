"""The embedded store: Lance tables in a folder, with a FAISS index beside large tables."""
