"""Functions on arrays: tiling, intensity scale, strength, alpha, residual, uncertainty, metrics."""
