"""Evaluation: metrics by name, classical methods, and one evaluator of any denoising function."""
