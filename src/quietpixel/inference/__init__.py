"""Runs trained models: the engines, the store of models, and the denoiser on arrays."""
