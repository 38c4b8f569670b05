"""Many files: a plan first, then reading, computing and writing at the same time."""

from quietpixel.batch.denoise import Settings
from quietpixel.batch.ledger import Ledger
from quietpixel.batch.pipeline import Outcome, run_jobs
from quietpixel.batch.plan import Plan, make_plan
from quietpixel.batch.preflight import PreflightResult, preflight_jobs

__all__ = [
    "Ledger",
    "Outcome",
    "Plan",
    "PreflightResult",
    "Settings",
    "make_plan",
    "preflight_jobs",
    "run_jobs",
]
