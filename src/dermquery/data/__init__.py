"""Cases, the case table, the checklist, images, sources and folds."""
