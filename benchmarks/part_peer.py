"""Measures in PyTorch one part of a diffusion model, as `lethe bench --part PART` does, and prints the same document.

    python part_peer.py unet-forward --folder FOLDER [--threads 2] [--batch 2] [--latent-size 64] [--repeats 5]

    unet-forward    a forward pass of the UNet
    unet-gradient   forward, mean squared error and backward to the gradients of all weights
    vae-decode      latents to images

Only the part that works is loaded. The peak is that of the resident set as Linux counts it (VmHWM), from when the model
is loaded: weights, and the pages of files that are mapped, count. Inputs are standard normal, as in Lethe.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("work", choices=("unet-forward", "unet-gradient", "vae-decode"))
parser.add_argument("--folder", required=True, type=Path, help="a diffusers folder")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--latent-size", type=int, required=True)
parser.add_argument("--repeats", type=int, default=5)
parser.add_argument("--patience", type=float, default=60.0)
parser.add_argument("--channels-last", action="store_true", help="in channels-last memory order")
options = parser.parse_args()
# Before torch is loaded: OpenMP reads it once.
os.environ["OMP_NUM_THREADS"] = str(options.threads)
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers  # noqa: E402
import torch  # noqa: E402
from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: E402


def peak_bytes():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def reset_peak():
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return True
    except OSError:
        return False


def measure(work):
    """Median seconds of `work`, after one time that is not counted unless it takes longer than --patience."""
    def seconds():
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    first = seconds()
    return first if first > options.patience else statistics.median(seconds() for _ in range(options.repeats))


def load():
    kind, part = (AutoencoderKL, "vae") if options.work == "vae-decode" else (UNet2DConditionModel, "unet")
    model = kind.from_pretrained(options.folder, subfolder=part, local_files_only=True).float().eval()
    return model.to(memory_format=torch.channels_last) if options.channels_last else model


def main():
    torch.set_num_threads(options.threads)
    diffusers.utils.logging.disable_progress_bar()
    before_loading = peak_bytes()
    model, draw = load(), torch.Generator().manual_seed(0)
    channels = model.config.latent_channels if options.work == "vae-decode" else model.config.in_channels
    shape = (options.batch, channels, options.latent_size, options.latent_size)
    latents = torch.randn(shape, generator=draw)
    if options.work == "vae-decode":
        def work():
            with torch.inference_mode():
                model.decode(latents)
    else:
        states = torch.randn(options.batch, 77, model.config.cross_attention_dim, generator=draw)
        noise, timesteps = torch.randn(shape, generator=draw), torch.full((options.batch,), 501)

        def forward():
            with torch.inference_mode():
                model(latents, timesteps, states)

        def gradient():
            model.zero_grad(set_to_none=True)
            torch.nn.functional.mse_loss(model(latents, timesteps, states).sample, noise).backward()

        work = forward if options.work == "unet-forward" else gradient
    loading = peak_bytes()
    is_reset = reset_peak()
    seconds = measure(work)
    peak = peak_bytes()
    print(json.dumps({
        "work": options.work, "threads": options.threads, "batch": options.batch, "latent_size": options.latent_size,
        "seconds": seconds, "peak_bytes": peak if is_reset else None, "peak_bytes_with_loading": max(peak, loading),
        "bytes_before_loading": before_loading,
        "versions": {"torch": torch.__version__, "diffusers": diffusers.__version__},
    }, indent=2, sort_keys=True))


if __name__ == "__main__":
    main()
