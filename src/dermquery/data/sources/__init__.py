"""One module per data source; each writes a case table and its images in the same folder tree."""
