"""The composed model: backbone, text encoder, composer, regions, alignment, artifact."""
