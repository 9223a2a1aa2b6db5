"""Output of explanations, audits and reports: for terminals, browsers, notebooks and files."""
