"""How fast and how exact the product is on this machine, as ratios within one run."""
