"""How much memory a method takes, in a process that does nothing else."""

import contextlib
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quietpixel.evaluation.benchmark import Method

STATUS = Path("/proc/self/status")
CHILD = """
import pickle, sys
from pathlib import Path
folder = Path(sys.argv[1])
sys.path[:] = pickle.loads((folder / "path").read_bytes())
import numpy as np
from quietpixel.evaluation.memory_use import read_peak
pickle.loads((folder / "method").read_bytes())(np.load(folder / "noisy.npy"))
(folder / "peak").write_text(str(read_peak()))
"""


def measure_peak(method: Method, noisy: NDArray[np.float32]) -> int | None:
    """Return the most bytes that a process of its own kept resident while `method` ran once.

    That is all it needs: Python, libraries, the model, `noisy` and the result.

    Parameters
    ----------
    method
        It is sent there by pickle.
    noisy
        Images (N, H, W, C).

    Returns
    -------
    int or None
        None where the system does not tell, where `method` cannot be sent (as one that is defined
        inside a function), or where it failed there.
    """
    if not STATUS.exists():
        return None
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(OSError):
        folder = Path(name)
        try:
            (folder / "method").write_bytes(pickle.dumps(method))
        except (pickle.PicklingError, AttributeError, TypeError):
            return None
        (folder / "path").write_bytes(pickle.dumps(sys.path))
        np.save(folder / "noisy.npy", noisy)
        subprocess.run([sys.executable, "-c", CHILD, name], capture_output=True, check=False)
        told = (folder / "peak").read_text()
        return int(told) if told.isdecimal() else None
    return None


def read_peak() -> int | None:
    """Return the most bytes that this process kept resident, as Linux tells them.

    References
    ----------
    proc_pid_status(5): ``VmHWM``, which begins anew with each program.
    """
    with contextlib.suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
