"""One module per data source; each describes a release, and becomes a command of ``dermquery data prepare``."""
