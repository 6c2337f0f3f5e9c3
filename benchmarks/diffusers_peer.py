"""Measures in diffusers and PyTorch the work that `make bench` measures in Lethe, with the same weights.

    python diffusers_peer.py --folder store/models/shapes [--threads 2] [--steps 50] [--batches 1,64]

Prints one JSON document on stdout:

    seconds_per_image       per batch size: prompt to decoded image, all DDIM steps, with guidance
    seconds_per_unet_pass   per batch size: one guided noise prediction (twice the batch through the UNet), per image
    seconds_per_training_step   UNet at the training batch: forward, MSE, backward, clipping, AdamW
    seconds_per_fisher_sample   batch 1, no guidance: forward, MSE, backward, squares of all gradients added up

Each value is the median of several repetitions after one that is not counted (one repetition where a single one takes
longer than --patience seconds). Sampling runs under inference mode, as the pipeline does by itself.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, type=Path, help="a diffusers folder")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batches", default="1,64", help="batch sizes of sampling")
    parser.add_argument("--training-batch", type=int, default=64)
    parser.add_argument("--guidance-scale", type=float, help="default: that of the folder's lethe.json, else 7.5")
    parser.add_argument("--prompt", default="a red striped circle on a white background")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--patience", type=float, default=20.0)
    parser.add_argument("--channels-last", action="store_true", help="UNet and VAE in channels-last memory order")
    parser.add_argument("--only", default="sampling,training,fisher", help="which of the three to measure")
    return parser.parse_args()


options = arguments()
# Before torch is loaded: OpenMP reads it once.
os.environ["OMP_NUM_THREADS"] = str(options.threads)
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers  # noqa: E402
import torch  # noqa: E402
from diffusers import DDIMScheduler, StableDiffusionPipeline  # noqa: E402


def measure(work, repeats):
    """Median seconds of `work`, and how many times it was timed."""
    started = time.perf_counter()
    work()
    first = time.perf_counter() - started
    if first > options.patience:
        # The run that would have warmed up is long enough to be the measurement.
        return first, 1
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), repeats


def default_guidance_scale(folder):
    """Lethe keeps a base model's sampler defaults in lethe.json, beside model_index.json."""
    def find(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "guidance_scale" and isinstance(inner, (int, float)):
                    return float(inner)
                found = find(inner)
                if found is not None:
                    return found
        return None

    path = folder / "lethe.json"
    found = find(json.loads(path.read_text())) if path.exists() else None
    return 7.5 if found is None else found


def main():
    torch.set_num_threads(options.threads)
    diffusers.utils.logging.disable_progress_bar()
    folder = options.folder
    if not (folder / "model_index.json").exists():
        sys.exit(f"{folder}: no model_index.json; a diffusers folder is expected")
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    if options.channels_last:
        pipeline.unet.to(memory_format=torch.channels_last)
        pipeline.vae.to(memory_format=torch.channels_last)
    unet, tokenizer = pipeline.unet, pipeline.tokenizer
    guidance_scale = options.guidance_scale
    if guidance_scale is None:
        guidance_scale = default_guidance_scale(folder)
    size, channels = unet.config.sample_size, unet.config.in_channels
    draw = torch.Generator().manual_seed(0)

    def latents(batch):
        return torch.randn(batch, channels, size, size, generator=draw)

    ids = tokenizer(options.prompt, padding="max_length", truncation=True,
                    max_length=tokenizer.model_max_length, return_tensors="pt").input_ids
    with torch.no_grad():
        hidden = pipeline.text_encoder(ids)[0]

    result = {
        "threads": options.threads, "steps": options.steps, "guidance_scale": guidance_scale,
        "unet_parameters": sum(parameter.numel() for parameter in unet.parameters()), "latent_size": size,
        "versions": {"torch": torch.__version__, "diffusers": diffusers.__version__}, "repeats": {},
    }
    wanted = options.only.split(",")

    if "sampling" in wanted:
        result["seconds_per_image"], result["seconds_per_unet_pass"] = {}, {}
        for batch in [int(value) for value in options.batches.split(",")]:
            start = latents(batch)

            def draw_images():
                pipeline([options.prompt] * batch, latents=start, num_inference_steps=options.steps,
                         guidance_scale=guidance_scale, output_type="np")

            seconds, count = measure(draw_images, options.repeats)
            result["seconds_per_image"][str(batch)] = seconds / batch
            result["repeats"][f"sampling_{batch}"] = count
            pair, states = torch.cat([start, start]), hidden.expand(2 * batch, -1, -1).contiguous()
            with torch.inference_mode():
                seconds, _ = measure(lambda: unet(pair, 501, states), options.repeats)
            result["seconds_per_unet_pass"][str(batch)] = seconds / batch

    unet.train()

    def loss_of(batch, states):
        noise = latents(batch)
        timesteps = torch.randint(0, pipeline.scheduler.config.num_train_timesteps, (batch,), generator=draw)
        noisy = pipeline.scheduler.add_noise(latents(batch), noise, timesteps)
        return torch.nn.functional.mse_loss(unet(noisy, timesteps, states).sample, noise)

    if "training" in wanted:
        batch = options.training_batch
        states = hidden.expand(batch, -1, -1).contiguous()
        # A rate of zero: the weights that are measured next stay those of the folder.
        optimiser = torch.optim.AdamW(unet.parameters(), lr=0.0, weight_decay=0.01)

        def train():
            optimiser.zero_grad()
            loss_of(batch, states).backward()
            torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
            optimiser.step()

        result["training_batch"] = batch
        result["seconds_per_training_step"], result["repeats"]["training"] = measure(train, options.repeats)

    if "fisher" in wanted:
        unet.eval()
        sums = [torch.zeros_like(parameter) for parameter in unet.parameters()]

        def fisher():
            unet.zero_grad()
            loss_of(1, hidden).backward()
            for total, parameter in zip(sums, unet.parameters()):
                total.addcmul_(parameter.grad, parameter.grad)

        result["seconds_per_fisher_sample"], result["repeats"]["fisher"] = measure(fisher, 4 * options.repeats)

    print(json.dumps(result, indent=2, sort_keys=True))


if __name__ == "__main__":
    main()
