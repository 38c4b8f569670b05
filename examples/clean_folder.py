"""Clean the pictures of a folder one by one, with a decision for each: skip those without noise.

python examples/clean_folder.py FOLDER OUTPUT [MODEL]

Without such a decision, `quietpixel denoise FOLDER -o OUTPUT` does more: it continues after bad
files, keeps subfolders and resumes after an interruption.
"""

import sys
from dataclasses import replace
from pathlib import Path

import quietpixel
from quietpixel.files import list_images, read_picture, write_picture

LEAST = 2 / 255
"""Sigma under which a picture is left as it is."""

folder, output, *model = sys.argv[1:]
denoiser = quietpixel.Denoiser(*model)
Path(output).mkdir(parents=True, exist_ok=True)
for path in list_images(folder).images:
    picture = read_picture(path)  # pixels, and everything else that the file carries
    sigma = max(denoiser.estimate_sigma(page) for page in picture.pages)
    if sigma < LEAST:
        print(f"{path.name}: sigma {255 * sigma:.1f} of 255, left unchanged")
        continue
    cleaned = replace(picture, pages=tuple(denoiser(page) for page in picture.pages))
    write_picture(cleaned, Path(output) / path.name)
    print(f"{path.name}: sigma {255 * sigma:.1f} of 255, cleaned")
