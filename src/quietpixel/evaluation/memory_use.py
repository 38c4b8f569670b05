"""The memory that a method takes, measured in a process that does nothing else."""

import contextlib
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from quietpixel.evaluation.image_pairs import DenoiseBatch, Images

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


def measure_peak(method: DenoiseBatch, noisy: Images) -> int | None:
    """Return the peak resident memory in bytes of a process that runs `method` once.

    It counts everything: Python, libraries, the model, `noisy` and the result.

    Parameters
    ----------
    method
        Sent to the process by pickle.
    noisy
        Images (N, H, W, C).

    Returns
    -------
    int or None
        None if the system does not report it, if `method` cannot be pickled (such as a function
        defined inside another), or if it fails there.
    """
    if not STATUS.exists():
        return None
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(OSError):
        folder = Path(name)
        try:
            (folder / "method").write_bytes(pickle.dumps(method))
        except (pickle.PicklingError, AttributeError, TypeError):
            return None
        # The same modules, also those of a checkout or an editable installation.
        (folder / "path").write_bytes(pickle.dumps(sys.path))
        np.save(folder / "noisy.npy", noisy)
        # Not a fork: that would count the memory of this process too.
        subprocess.run([sys.executable, "-c", CHILD, name], capture_output=True, check=False)
        # A method that fails there leaves no file, which is the OSError suppressed above.
        peak = (folder / "peak").read_text()
        return int(peak) if peak.isdecimal() else None
    return None


def read_peak() -> int | None:
    """Return the peak resident memory of this process in bytes, as Linux reports it.

    References
    ----------
    proc_pid_status(5): ``VmHWM``, which starts anew with each program.
    """
    with contextlib.suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
