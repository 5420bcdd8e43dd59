"""Studies of one question each: region masks, written texts, warnings about images."""
