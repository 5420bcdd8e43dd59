"""Studies of one question each: do the masks point, are texts read, are warnings right."""
