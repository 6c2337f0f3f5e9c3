"""Times FID as clean-fid computes it, numpy's covariance and scipy's matrix root, on features like those of Inception.

    benchmarks/metric_peers.py --vectors 10000 --width 2048 --threads 2

Prints seconds and the distance; `lethe bench --features 10000 --width 2048` does the same work on the same kind of
features (standard normal ones, mixed so that they are correlated, and cut at zero), drawn from another generator.
"""
import argparse
import json
import os
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--vectors", type=int, default=10_000)
parser.add_argument("--width", type=int, default=2048)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--repeats", type=int, default=1)
options = parser.parse_args()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(options.threads)

import numpy  # noqa: E402  the number of threads is read when it is loaded
import scipy.linalg  # noqa: E402

draws = numpy.random.default_rng(0)
mixing = draws.normal(size=(options.width, options.width)) / options.width**0.5


def features(shift):
    return numpy.maximum(draws.normal(size=(options.vectors, options.width)) @ mixing + shift, 0).astype(numpy.float32)


def distance(first, second):
    """clean-fid's fid_from_feats and frechet_distance, for features whose product of covariances is not singular."""
    (mean1, cov1), (mean2, cov2) = ((x.mean(axis=0), numpy.cov(x, rowvar=False)) for x in (first, second))
    root = scipy.linalg.sqrtm(cov1 @ cov2)
    shift = mean1 - mean2
    return float(shift @ shift + numpy.trace(cov1) + numpy.trace(cov2) - 2 * numpy.trace(root.real))


first, second = features(0.0), features(0.1)
seconds, processor = [], []
for _ in range(options.repeats):
    began = time.perf_counter(), time.process_time()
    value = distance(first, second)
    seconds.append(time.perf_counter() - began[0])
    processor.append(time.process_time() - began[1])
middle = options.repeats // 2
print(json.dumps({
    # Beside other work the time of the processors is the steadier figure.
    "seconds_per_fid": sorted(seconds)[middle], "processor_seconds_per_fid": sorted(processor)[middle],
    "fid": value, "vectors": options.vectors, "width": options.width, "threads": options.threads,
    "numpy": numpy.__version__, "scipy": scipy.__version__,
}))
