"""A denoiser for a microscope without clean images: measure the noise, train on it, look.

python examples/microscope.py FOLDER RUN [MINUTES]

FOLDER holds noisy images of one microscope, the more the better; RUN is where the model goes.
"""

import sys
from pathlib import Path

import quietpixel
from quietpixel.files import list_images, read_picture

folder, run, *minutes = sys.argv[1:]
first = read_picture(list_images(folder).images[0])
found = quietpixel.measure_noise(first.pages[0] / first.maximum)
print(f"noise: {found.kind}, law {found.law}")

# Noise that neighbours share has to be hidden as a whole; `train` measures that and does so.
quietpixel.train(
    folder,
    target="none",
    start="nothing",
    run=run,
    minutes=float(minutes[0]) if minutes else 20.0,
)
print(f"Look at {Path(run) / 'report.html'}: does what was removed look like noise?")
