"""Which number format training computes in; decided once, and recorded."""

import platform
from pathlib import Path

BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def choose_precision(wanted: str) -> str:
    """Return the Keras dtype policy for `wanted` (``"auto"`` or a policy's name).

    ``"auto"`` is ``"mixed_bfloat16"`` where the processor multiplies in bfloat16, and
    ``"float32"`` elsewhere.
    """
    if wanted != "auto":
        return wanted
    return "mixed_bfloat16" if BFLOAT16_FLAGS & processor_flags() else "float32"


def processor_flags(path: Path = Path("/proc/cpuinfo")) -> set[str]:
    """Return the processor's feature words, empty where the system does not tell."""
    if platform.system() != "Linux" or not path.exists():
        return set()
    lines = path.read_text(errors="replace").splitlines()
    return {word for line in lines if line.startswith("flags") for word in line.split()[2:]}
