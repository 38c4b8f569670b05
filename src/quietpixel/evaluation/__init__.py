"""Judging: scores for any image -> image function, and the classical rivals."""
