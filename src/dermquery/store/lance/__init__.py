"""The embedded store: LanceDB in a folder, with a FAISS index beside large tables."""
