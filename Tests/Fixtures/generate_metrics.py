"""What published implementations make of features that are written beside it: metrics.json and metrics.safetensors.

    pip install numpy scipy torch torchmetrics clean-fid lpips safetensors

Distances of distributions come from clean-fid and, for the kernel distance, from torchmetrics too; the perceptual
distance from the parts of lpips behind its networks; intervals and means from scipy.
"""
import json
import pathlib

import lpips
import numpy
import scipy.stats
import torch
from cleanfid.fid import frechet_distance, kernel_distance
from safetensors.numpy import save_file
from torchmetrics.image.kid import poly_mmd

folder = pathlib.Path(__file__).resolve().parent
draws = numpy.random.default_rng(7)
tensors, values = {}, {}


# Distances of distributions: correlated features that are not negative, of two distributions not far apart.
def features(count, shift):
    mixing = numpy.random.default_rng(11).normal(size=(12, 12))
    return numpy.maximum(draws.normal(size=(count, 12)) @ mixing + shift, 0).astype(numpy.float32)


first, second = features(40, 0.4), features(40, 0.7)
tensors |= {"features.first": first, "features.second": second}
wide = [x.astype(numpy.float64) for x in (first, second)]
values["frechet"] = float(
    frechet_distance(*(f(x) for x in wide for f in (lambda x: x.mean(0), lambda x: numpy.cov(x, rowvar=False))))
)
# One subset of all rows: which order they are drawn in changes nothing.
values["kernel"] = {
    "clean-fid": float(kernel_distance(*wide, num_subsets=1, max_subset_size=40)),
    "torchmetrics": float(poly_mmd(*(torch.from_numpy(x) for x in wide))),
}

# The perceptual distance: three images under two layers, one place of the second layer seeing nothing at all.
shapes = [(3, 4, 5, 6), (3, 6, 3, 3)]
maps = {name: [draws.random(shape, dtype=numpy.float32) for shape in shapes] for name in ("first", "second")}
maps["first"][1][0, :, 1, 1] = 0
weights = [draws.random((1, shape[1], 1, 1), dtype=numpy.float32) for shape in shapes]
for name, layers in maps.items():
    for index, layer in enumerate(layers):
        tensors[f"maps.{name}.{index}"] = layer
for index, weight in enumerate(weights):
    tensors[f"lin{index}.model.1.weight"] = weight


def perceptual(learned):
    total = 0
    for a, b, weight in zip(maps["first"], maps["second"], weights):
        a, b = (lpips.normalize_tensor(torch.from_numpy(x)) for x in (a, b))
        squares = (a - b) ** 2
        if learned:
            layer = lpips.NetLinLayer(squares.shape[1], use_dropout=False)
            layer.model[-1].weight.data = torch.from_numpy(weight)
            squares = layer(squares)
        else:
            squares = squares.sum(dim=1, keepdim=True)
        total = total + lpips.spatial_average(squares, keepdim=True)
    return total.detach().flatten().tolist()


values["lpips"] = {"equal": perceptual(False), "learned": perceptual(True)}

# Intervals and means.
values["wilson"] = [
    [k, n, *scipy.stats.binomtest(k, n).proportion_ci(method="wilson")]
    for k, n in ((0, 10), (10, 10), (1, 3), (57, 64), (250, 500))
]
values["harmonic_mean"] = [
    [list(x), float(scipy.stats.hmean(x))] for x in ((0.9, 0.8, 0.7), (1.0, 1.0, 0.0), (0.5, 1.0))
]
sample = draws.gamma(2, size=200).round(6)
interval = scipy.stats.bootstrap(
    (sample,), numpy.mean, n_resamples=100_000, method="percentile", rng=numpy.random.default_rng(3)
).confidence_interval
values["bootstrap"] = {"sample": sample.tolist(), "interval": list(interval)}

save_file(tensors, folder / "metrics.safetensors")
(folder / "metrics.json").write_text(json.dumps(values, indent=1) + "\n")
