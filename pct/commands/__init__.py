"""The commands of the library's own command line, one a module. See `pct.cli`."""
