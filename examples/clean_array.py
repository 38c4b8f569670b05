"""Denoise an array: a digit with noise, and what was removed.

python examples/clean_array.py
"""

import numpy as np

import quietpixel
from quietpixel.data import load_split
from quietpixel.imaging.metrics import psnr
from quietpixel.noise.parser import add_noise

clean = load_split("digits", "test").as_float()[:1]
noisy = add_noise(clean, quietpixel.parse_noise("gaussian:0.5"), seed=0)

denoiser = quietpixel.Denoiser("mnist-unet")  # kept open for many images
denoised = denoiser(noisy[0])  # (28, 28, 1), float32, as it came
half = denoiser(noisy[0], strength=0.5)  # half of what was removed comes back
removed = noisy[0] - denoised

print(f"noisy    {psnr(clean[0], noisy[0]):.1f} dB")
print(f"denoised {psnr(clean[0], np.clip(denoised, 0, 1)):.1f} dB")
print(f"half     {psnr(clean[0], np.clip(half, 0, 1)):.1f} dB")
print(f"what was removed has a standard deviation of {removed.std():.2f}")
