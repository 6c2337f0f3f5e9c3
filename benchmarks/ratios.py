"""Sets what Lethe measured beside what PyTorch measured, with the ratios that Lethe is to reach: ratios.py FOLDER

The folder has lethe.json and pytorch.json of the small model and, where there is a Stable Diffusion folder,
PART.lethe.json and PART.pytorch.json of its parts; the speed of Lethe stands beside as a share of what products of
square matrices reach in the same process. Status 1 where the two did not do the same work.
"""

import json
import sys
from pathlib import Path

folder = Path(sys.argv[1])
PARTS = {
    "unet-forward": ("UNet forward", 0.75, 0.9),
    "unet-gradient": ("UNet forward and backward", 0.85, 0.75),
    "vae-decode": ("VAE decode", 0.8, None),
}
# For batch sizes 1 and 64; elsewhere nothing was set.
IMAGES = {1: 0.3, 64: 0.6}
GIB = 1 << 30


def read(name):
    path = folder / name
    return json.loads(path.read_text()) if path.exists() else None


def small_model(ours, theirs):
    """Rows of (work, unit, Lethe, PyTorch, the ratio to reach, share of matrix products)."""
    speed = ours["product_operations_per_second"]

    def row(name, key, seconds, other, target):
        return name, "s", seconds, other, target, ours[key] / seconds / speed

    steps = ours["steps"]
    for batch, seconds in sorted(ours["seconds_per_image"].items(), key=lambda item: int(item[0])):
        yield row(f"image of {steps} steps, batch {batch}", "operations_per_image", seconds,
                  theirs["seconds_per_image"].get(batch), IMAGES.get(int(batch)))
    yield row(f"training step, batch {ours['training_batch']}", "operations_per_training_step",
              ours["seconds_per_training_step"], theirs["seconds_per_training_step"], 0.75)
    yield row("Fisher sample", "operations_per_fisher_sample", ours["seconds_per_fisher_sample"],
              theirs["seconds_per_fisher_sample"], 0.3)


def part(ours, theirs):
    name, time, memory = PARTS[ours["work"]]
    name += f", batch {ours['batch']}, {ours['latent_size']}x{ours['latent_size']}"
    yield name, "s", ours["seconds"], theirs["seconds"], time, ours["share_of_products"]
    if not (ours["peak_bytes"] and theirs["peak_bytes"]):
        return
    yield "  peak memory", "GiB", ours["peak_bytes"] / GIB, theirs["peak_bytes"] / GIB, memory, None
    # What a process holds before it reads the model is its libraries: much in PyTorch, and nothing of the work.
    less = [(result["peak_bytes"] - result["bytes_before_loading"]) / GIB for result in (ours, theirs)]
    yield "  without program and libraries", "GiB", *less, memory, None
    with_loading = [result["peak_bytes_with_loading"] / GIB for result in (ours, theirs)]
    yield "  with loading", "GiB", *with_loading, None, None


def differences(ours, theirs, keys):
    return [f"{key} is {ours.get(key)} in Lethe and {theirs.get(key)} in PyTorch" for key in keys
            if ours.get(key) != theirs.get(key)]


def show(rows):
    width = max(len(row[0]) for row in rows)
    print(f"{'':{width}}{'Lethe':>15}{'PyTorch':>15}{'Lethe/PyTorch':>15}{'to reach':>10}{'of products':>13}")
    for name, unit, ours, theirs, target, share in rows:
        cells = [f"{ours:.4f} {unit:3}", "-" if theirs is None else f"{theirs:.4f} {unit:3}",
                 "-" if theirs is None else f"{ours / theirs:.2f}", "" if target is None else f"{target:.2f}",
                 "" if share is None else f"{100 * share:.0f} %"]
        print(f"{name:{width}}{cells[0]:>15}{cells[1]:>15}{cells[2]:>15}{cells[3]:>10}{cells[4]:>13}")


ours, theirs = read("lethe.json"), read("pytorch.json")
rows, wrong, speeds, gains = list(small_model(ours, theirs)), [], [ours["product_operations_per_second"]], []
wrong += differences(ours, theirs, ("steps", "guidance_scale", "unet_parameters", "threads"))
for name in PARTS:
    mine, other = read(f"{name}.lethe.json"), read(f"{name}.pytorch.json")
    if mine and other:
        rows += part(mine, other)
        speeds.append(mine["product_operations_per_second"])
        if mine["gain_of_threads"]:
            gains.append(f"{PARTS[name][0]}: {mine['threads']} threads are {mine['gain_of_threads']:.2f} times as "
                         "fast as one")
        wrong += [f"{name}: {text}" for text in differences(mine, other, ("threads", "batch", "latent_size"))]
show(rows)
print("\n" + "; ".join(gains) + (" (two to reach 1.85)" if gains else ""))
print(f"{ours['threads']} threads; guidance scale {ours['guidance_scale']}; products of matrices reach "
      f"{min(speeds) / 1e9:.0f} to {max(speeds) / 1e9:.0f} GFLOP/s; PyTorch {theirs['versions']['torch']}")
for text in wrong:
    print(f"not the same work: {text}")
sys.exit(1 if wrong else 0)
