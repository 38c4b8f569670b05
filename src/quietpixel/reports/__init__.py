"""What is shown: the report of a run, the report of a comparison, charts and pictures."""
