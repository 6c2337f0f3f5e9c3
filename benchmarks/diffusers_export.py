"""Shows that diffusers draws from exported runs the pictures that the runs have in the store.

    python diffusers_export.py --lethe .build/release/lethe --store store [--pictures 4] [RUN ...]

Without a RUN: every finished run of a technique that edits weights or prunes them. Each is exported to a temporary
folder. StableDiffusionPipeline draws there some of the run's own pictures from the noise that Lethe drew them from, and
the pixels are held against the PNG files of the store, the final latents against those of `lethe generate --run`.

The noise is not written down anywhere: it is what a UNet whose last layer is zero leaves of it in one step, which is
the noise times a number that the scheduler gives.

One row a run: the largest difference of any channel of any pixel of the 8-bit pictures (bound: one level, where
rounding falls either way), the share of pixels that differ at all, and the largest absolute difference of the latents
over the largest value (bound: --tolerance). Exit status 0 if all rows hold, 1 if not.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("runs", nargs="*", metavar="RUN", help="a run id or config hash, or the beginning of one")
parser.add_argument("--lethe", required=True, type=Path, help="the program")
parser.add_argument("--store", default=Path("store"), type=Path)
parser.add_argument("--pictures", type=int, default=4, help="how many of each run")
parser.add_argument("--tolerance", type=float, default=1e-4)
options = parser.parse_args()
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from diffusers import DDIMScheduler, StableDiffusionPipeline  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers.utils import logging  # noqa: E402


def lethe(*arguments):
    """Runs `lethe`; what it prints with --json."""
    command = [str(part) for part in (options.lethe.resolve(), *arguments)]
    result = subprocess.run(command, text=True, capture_output=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{result.stderr}")
    return json.loads(result.stdout) if "--json" in arguments else None


def in_store(*arguments):
    return lethe(*arguments, "--store", options.store)


def stored(digest):
    return options.store / "objects" / digest[:2] / digest[2:]


def finished_runs():
    kinds = {technique["name"]: technique["kind"] for technique in lethe("techniques", "--json")}
    return [run["run_id"] for run in in_store("ls", "--status", "finished", "--json")
            if kinds.get(run["technique"]) in ("weights", "mask")]


def zeroed(folder, copy):
    """The model of a folder with a UNet that predicts zero."""
    shutil.copytree(folder, copy)
    path = next((copy / "unet").glob("*.safetensors"))
    save_file({name: torch.zeros_like(tensor) if name.startswith("conv_out.") else tensor
               for name, tensor in load_file(path).items()}, path, metadata={"format": "pt"})
    return copy


def final_latent(image, scratch, *arguments):
    path = scratch / "latents.safetensors"
    in_store("generate", image["prompt"], "--seed", image["seed"], "--count", image["repetition"] + 1,
          "--out", scratch / "picture.png", "--save-latents", path, *arguments)
    return load_file(path)["latents"][-1:]


def compare(run, scratch):
    found = in_store("show", run, "--json")
    record = found["record"]
    folder = scratch / "export"
    in_store("export", found["run_id"], folder)
    silent = zeroed(folder, scratch / "silent")
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    config = record["experiment"]["technique"]["config"]

    # What one step makes of a latent of ones where zero is predicted.
    pipeline.scheduler.set_timesteps(1)
    factor = pipeline.scheduler.step(
        torch.zeros(1, dtype=torch.float64), pipeline.scheduler.timesteps[0],
        torch.ones(1, dtype=torch.float64)).prev_sample

    images = json.loads(
        stored(next(o["digest"] for o in record["outputs"] if o["name"] == "images")).read_text())["images"]
    # Spread over the prompts of all metrics.
    images = images[::max(1, len(images) // options.pictures)][:options.pictures]
    pixels, share, latents = 0, 0.0, 0.0
    for image in images:
        noise = (final_latent(image, scratch, "--model", silent, "--steps", 1, "--guidance-scale", 1) / factor).float()
        drawn = pipeline(image["prompt"], latents=noise, num_inference_steps=config["num_inference_steps"],
                         guidance_scale=config["guidance_scale"], output_type="latent").images
        with torch.no_grad():
            decoded = pipeline.vae.decode(drawn / pipeline.vae.config.scaling_factor).sample
        theirs = np.asarray(pipeline.image_processor.postprocess(decoded, output_type="pil")[0]).astype(int)
        ours = np.asarray(Image.open(stored(image["digest"])).convert("RGB")).astype(int)
        difference = np.abs(ours - theirs)
        pixels = max(pixels, int(difference.max()))
        share += float((difference.max(axis=-1) > 0).mean()) / len(images)
        latent = final_latent(image, scratch, "--run", found["run_id"])
        latents = max(latents, float((latent - drawn).abs().max() / drawn.abs().max()))
    return record["technique"], found["run_id"][:8], len(images), pixels, share, latents


def main():
    diffusers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()
    logging.disable_progress_bar()
    holds = True
    print(f"{'technique':16}{'run':10}{'pictures':>8}{'largest difference':>20}{'pixels that differ':>20}"
          f"{'latents':>10}")
    for run in options.runs or finished_runs():
        with tempfile.TemporaryDirectory() as scratch:
            technique, run_id, count, pixels, share, latents = compare(run, Path(scratch))
        print(f"{technique:16}{run_id:10}{count:8}{pixels:20}{share:20.2%}{latents:10.1e}", flush=True)
        holds = holds and pixels <= 1 and latents <= options.tolerance
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
