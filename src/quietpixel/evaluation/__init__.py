"""Judging and showing: scores for any image -> image function, the classical rivals, the report."""
