"""One small extension of dermquery of every kind."""
