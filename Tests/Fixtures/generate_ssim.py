"""Structural similarities as scikit-image computes them, of two pictures that a formula draws: makes ssim.json.

    pip install numpy scikit-image
"""
import json
import pathlib

import numpy
from skimage.metrics import structural_similarity

WIDTH, HEIGHT = 40, 32


def picture(a, b):
    """The level of channel c at (x, y) is (a x + b y y + 37 c + x y) mod 256; the test draws the same."""
    y, x, c = numpy.meshgrid(numpy.arange(HEIGHT), numpy.arange(WIDTH), numpy.arange(3), indexing="ij")
    return ((a * x + b * y * y + 37 * c + x * y) % 256).astype(numpy.uint8)


first, second = picture(3, 2), picture(4, 1)
mixed = ((first.astype(int) * 3 + second) // 4).astype(numpy.uint8)
values = {
    name: {str(window): structural_similarity(first, other, win_size=window, channel_axis=2) for window in (3, 7, 25)}
    for name, other in (("other", second), ("mixed", mixed))
}
path = pathlib.Path(__file__).resolve().parent / "ssim.json"
path.write_text(json.dumps(values, indent=2) + "\n")
