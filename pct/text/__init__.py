"""Splits texts into words and tokens."""
