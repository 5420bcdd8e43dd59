"""The distributed store: collections of a Milvus server."""
