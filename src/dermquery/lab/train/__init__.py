"""Training: objective, batches, Lightning modules, and the run."""
