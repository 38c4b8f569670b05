"""Many files: a plan first, then reading, computing and writing at the same time."""

from quietpixel.batch.denoise import Settings
from quietpixel.batch.ledger import Ledger
from quietpixel.batch.lock import lock_folders
from quietpixel.batch.pipeline import Outcome, denoise_one, run_jobs
from quietpixel.batch.plan import Plan, PreflightResult, make_plan, preflight_jobs, share_scale

__all__ = [
    "Ledger",
    "Outcome",
    "Plan",
    "PreflightResult",
    "Settings",
    "denoise_one",
    "lock_folders",
    "make_plan",
    "preflight_jobs",
    "run_jobs",
    "share_scale",
]
