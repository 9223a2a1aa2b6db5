"""Texts with labels: the embedded corpus, named ones, files."""
