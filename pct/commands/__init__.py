"""The commands of the library, one per module. See `pct.cli`."""
