"""From a text to the mentions of criteria in it, step by step: plain signs, tokens, clauses, reach, mentions."""
