"""Time to a test error of 0.0137 on MNIST: the recipe `tuned` against a plain Keras script.

    python benchmarks/time_to_quality.py FOLDER_WITH_MNIST [--epochs 10] [--batch 128]
                                         [--optimizer muon] [--seed 0]
                                         [--plain-epochs 40] [--json FILE]

Both learn the same layers on the same machine, one after the other. The plain script's time is
that of its first epoch at the target; `tuned`, whose learning rate falls to zero at its end, is
given a number of epochs and counts with all of them; --batch, --optimizer and --seed change it.
Loading data and evaluation do not count.
Where the plain script does not get there in its epochs, the ratio is the most that it can be; where
`tuned` does not, there is none, and the script ends with 1.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from record import Record

import quietpixel

TARGET = 0.0137
PLAIN = Path(__file__).with_name("plain_keras.py")


def run_plain(folder: Path, epochs: int) -> dict[str, float]:
    process = subprocess.Popen(
        [sys.executable, PLAIN, folder, str(epochs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    row: dict[str, float] = {}
    for line in process.stdout:
        row = json.loads(line)
        print(f"plain  epoch {row['epoch']:3.0f}  {row['seconds']:7.1f} s  {row['test_error']:.5f}")
        if row["test_error"] <= TARGET:
            process.terminate()
            break
    process.wait()
    return row


def run_tuned(folder: Path, epochs: int, **changes: Any) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place:
        run = quietpixel.train(
            "mnist", epochs=epochs, data_dir=folder, run=Path(place) / "run", **changes
        )
        lines = (run / "history.csv").read_text().splitlines()
        place_of = lines[0].split(",").index("seconds")
        seconds = sum(float(line.split(",")[place_of]) for line in lines[1:])
        error = quietpixel.evaluate(run, "mnist", data_dir=folder).methods[0].mse
    print(f"tuned  epoch {epochs:3d}  {seconds:7.1f} s  {error:.5f}")
    return {"epoch": epochs, "seconds": seconds, "test_error": error}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--optimizer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain-epochs", type=int, default=40)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    changes = {"batch": given.batch, "optimizer": given.optimizer, "seed": given.seed}
    tuned = run_tuned(given.folder, given.epochs, **changes)
    plain = run_plain(given.folder, given.plain_epochs)
    reached = tuned["test_error"] <= TARGET
    record = Record()
    record.table("training", "epochs", "seconds", "test error")
    for name, row in (("recipe `tuned`", tuned), ("`plain_keras.py`", plain)):
        numbers = f"{row['epoch']:.0f}", f"{row['seconds']:.0f}", f"{row['test_error']:.5f}"
        record.row(name, *numbers)
    if reached:
        record.note(f"`tuned` took {tuned['seconds'] / plain['seconds']:.2f} of the time.")
    record.save(given.json)
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main())
