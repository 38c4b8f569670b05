"""Many files: a plan first, then reading, computing and writing at the same time."""

from quietpixel.inference.folders.ledger import Ledger
from quietpixel.inference.folders.pipeline import Outcome, run_jobs
from quietpixel.inference.folders.plan import Plan, make_plan
from quietpixel.inference.folders.survey import Finding, survey_jobs
from quietpixel.inference.folders.treat import Settings

__all__ = [
    "Finding", "Ledger", "Outcome", "Plan", "Settings", "make_plan", "run_jobs", "survey_jobs",
]  # fmt: skip
