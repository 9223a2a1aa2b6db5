"""Training methods: a mini-batch -> a loss."""
