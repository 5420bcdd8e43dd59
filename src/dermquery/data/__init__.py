"""Cases, the case table, the checklist, images and their sources."""
