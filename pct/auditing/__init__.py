"""Which explanation of a model can be trusted: every saliency on the same texts and removals, and a judgement."""
