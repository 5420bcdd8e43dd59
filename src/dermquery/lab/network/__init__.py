"""The composed network, equation by equation, in PyTorch."""
