"""Plain functions on NumPy arrays: noise, metrics, tiling. No Keras, no files."""
