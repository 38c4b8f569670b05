"""Training: a frozen recipe, one run of it, and the folder that keeps the run."""
