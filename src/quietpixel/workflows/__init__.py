"""The public verbs: `train`, `evaluate`, `compare`, `calibrate`, `uncertainty` and the export."""
