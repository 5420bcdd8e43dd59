"""The laboratory: the network of the paper, its training, evaluation and comparison. Needs ``dermquery[lab]``."""
