"""Corpora: labelled texts from files, the hub, memory or a generator."""
