"""HTML reports of runs and evaluations, charts, pictures."""
