"""Many files: a plan first, then reading, computing and writing at the same time."""
