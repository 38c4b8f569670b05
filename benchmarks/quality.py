"""Quality of models and methods on one set of images, next to published figures.

    python benchmarks/quality.py FOLDER MODEL [METHOD ...] [--sigmas 15,25,50] [--count N]
                                 [--pairs 'A=B'] [--precision f32|auto] [--rivals FILE ...]
                                 [--channels 1|3] [--json FILE]
    python benchmarks/quality.py SET MODEL [METHOD ...] --noise LAW [--data-dir FOLDER]

All get the same seeded, unclipped noise on whole images; results are clipped to [0, 1], and a
figure is the mean over the images. SSIM, speed and the difference to the first method, with its
95 % interval by a paired bootstrap, are those at the middle sigma. Models compute in float32; with
--precision auto, the default of the program, speed and memory are reported too. Published figures
are shown only beside a run over the whole set of that name (`published.py`); they were made with
another draw of the same noise. With --pairs the noise is that of the images. --rivals are weight
files of networks that the user has (`rival_networks.py`), given the deviation of the noise.
"""

import argparse
from pathlib import Path

from published import COUNTS, FIGURES
from record import Record
from rival_networks import add_methods

import quietpixel
from quietpixel.evaluation.evaluator import Evaluation, Row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--sigmas", default="15,25,50", help="of 255, between commas")
    parser.add_argument("--noise", help="one law in place of the sigmas")
    parser.add_argument("--count", type=int)
    parser.add_argument("--pairs", default="")
    parser.add_argument("--channels", type=int, choices=(1, 3), help="1: in gray")
    parser.add_argument("--precision", choices=("f32", "auto"), default="f32")
    parser.add_argument("--rivals", type=Path, nargs="*", default=[])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    sigmas = [] if given.noise or given.pairs else [int(each) for each in given.sigmas.split(",")]
    found = quietpixel.compare(
        [*given.models, *add_methods(given.rivals, given.precision)],
        given.data,
        noise=[f"gaussian:{sigma}/255,clip=no" for sigma in sigmas] or given.noise,
        pairs=given.pairs,
        channels=given.channels,
        count=given.count,
        precision=given.precision,
        data_dir=given.data_dir,
    )
    record = Record()
    report(record, found, Path(given.data).name, sigmas, speed=given.precision == "auto")
    record.save(given.json)


def report(record: Record, found: Evaluation, name: str, sigmas: list[int], *, speed: bool) -> None:
    """Report measured and, for a whole set that they are known of, published figures."""
    middle = found.tables[len(found.tables) // 2]
    published = FIGURES.get(name, ()) if sigmas and found.count == COUNTS.get(name) else ()
    at = f" at {' / '.join(map(str, sigmas))}" if sigmas else ""
    columns = [f"{found.count:,} images, {'gray' if found.channels == 1 else 'RGB'}"]
    columns += [f"PSNR{at}, dB", *(("published", "source") if published else ())]
    columns += [f"less that of {middle.rows[0].name}", "SSIM"]
    columns += ["squared error"] if not sigmas else []
    record.table(*columns, *(("megapixels/s", "memory, MB") if speed else ()))
    apart = {each.name: each for each in middle.differences if each.measure == "psnr"}
    for place, row in enumerate(middle.rows):
        each = apart.get(row.name)
        cells = [" / ".join(show(table.rows[place].means["psnr"], ".2f") for table in found.tables)]
        cells += ("", "measured here") if published else ()
        cells += [f"{each.mean:+.2f} [{each.interval[0]:+.2f}, {each.interval[1]:+.2f}]"
                  if each else "", show(row.means["ssim"], ".4f")]  # fmt: skip
        cells += [show(row.means["mse"], ".5f")] if not sigmas else []
        record.row(row.name, *cells, *(show_cost(row) if speed else ()))
    for method in published:
        values = " / ".join(show(method.psnr.get(sigma), ".2f") for sigma in sigmas)
        cells = ["", values, method.source, *[""] * (len(columns) - 4), *[""] * 2 * speed]
        record.row(method.method, *cells)
    if sigmas and name in FIGURES and not published:
        record.note(f"No published figures: they are for the whole of {name}.")


def show_cost(row: Row) -> tuple[str, str]:
    memory = None if row.memory is None else row.memory / 1e6
    return show(row.megapixels_per_second, ".3g"), show(memory, ".0f")


def show(value: float | None, spec: str) -> str:
    return "" if value is None else format(value, spec)


if __name__ == "__main__":
    main()
