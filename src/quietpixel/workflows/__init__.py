"""The public verbs: `train`, `evaluate`, `compare`, `calibrate`, `uncertainty`, `measure_noise`."""
