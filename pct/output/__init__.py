"""What a terminal, a browser, a notebook and a table get of explanations and reports."""
