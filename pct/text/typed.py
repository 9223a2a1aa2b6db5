"""The former module of `pct.text.detokenize`."""

from pct.renamed import renamed

__getattr__ = renamed(__name__)
