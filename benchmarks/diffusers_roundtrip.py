"""Shows that diffusers opens a folder that Lethe ships and draws the same picture from the same starting noise.

    python diffusers_roundtrip.py --folder store/models/shapes --lethe .build/release/lethe

draws a starting noise, lets `lethe generate --latents --save-latents --out` draw from it, draws the same with
StableDiffusionPipeline, and compares. With files that Lethe has drawn before instead of --lethe:

    python diffusers_roundtrip.py --folder FOLDER --latents start.safetensors \\
        --final-latents final.safetensors --image picture.png --prompt "..." --steps 50 --guidance-scale 7.5

Prints one JSON document: `latent_difference`, the largest absolute difference of the final latents over the largest
absolute value (bound: --tolerance), and `pixel_difference`, the largest difference of any channel of any pixel of the
8-bit pictures (bound: one level, where rounding falls either way). Exit status 0 if both hold, 1 if not.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--folder", required=True, type=Path)
parser.add_argument("--prompt", default="a red striped circle on a white background")
parser.add_argument("--negative-prompt", default="")
parser.add_argument("--steps", type=int, default=50)
parser.add_argument("--guidance-scale", type=float, default=7.5)
parser.add_argument("--tolerance", type=float, default=1e-4)
parser.add_argument("--lethe", type=Path, help="the program, to draw Lethe's side now")
parser.add_argument("--seed", type=int, default=7, help="of the starting noise, with --lethe")
parser.add_argument("--latents", type=Path, help="the starting noise (key `latents`)")
parser.add_argument("--final-latents", type=Path, help="what `lethe generate --save-latents` wrote")
parser.add_argument("--image", type=Path, help="what `lethe generate --out` wrote")
parser.add_argument("--keep", type=Path, help="where to leave diffusers' picture")
options = parser.parse_args()
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from diffusers import DDIMScheduler, StableDiffusionPipeline  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402


def drawn_by_lethe(folder, shape):
    """Runs `lethe generate` from a noise drawn here; returns the paths of noise, final latent and picture."""
    start, final, image = (Path(folder) / name for name in ("start.safetensors", "final.safetensors", "lethe.png"))
    save_file({"latents": torch.randn(shape, generator=torch.Generator().manual_seed(options.seed))}, start)
    command = [options.lethe, "generate", options.prompt, "--model", options.folder, "--steps", options.steps,
               "--guidance-scale", options.guidance_scale, "--latents", start, "--save-latents", final, "--out", image]
    if options.negative_prompt:
        command += ["--negative-prompt", options.negative_prompt]
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)
    return start, final, image


def tensor_of(path):
    tensors = load_file(path)
    if "latents" not in tensors:
        sys.exit(f"{path}: no tensor named latents; found {', '.join(sorted(tensors)) or 'none'}")
    return tensors["latents"].float()


def main():
    if options.lethe is None and options.latents is None:
        parser.error("either --lethe, or --latents with --final-latents or --image")
    diffusers.utils.logging.disable_progress_bar()
    pipeline = StableDiffusionPipeline.from_pretrained(options.folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    with tempfile.TemporaryDirectory() as scratch:
        if options.lethe:
            size = pipeline.unet.config.sample_size
            start, final, image = drawn_by_lethe(scratch, (1, pipeline.unet.config.in_channels, size, size))
        else:
            start, final, image = options.latents, options.final_latents, options.image
        start = tensor_of(start)
        final = tensor_of(final) if final else None
        picture = np.asarray(Image.open(image).convert("RGB")).astype(int) if image else None

    def draw(output_type):
        return pipeline([options.prompt] * len(start), negative_prompt=[options.negative_prompt] * len(start),
                        latents=start.clone(), num_inference_steps=options.steps,
                        guidance_scale=options.guidance_scale, output_type=output_type).images

    result, agrees = {"prompt": options.prompt, "steps": options.steps, "guidance_scale": options.guidance_scale}, True
    latents = draw("latent")
    if final is not None:
        if final.shape != latents.shape:
            sys.exit(f"Lethe's latent has shape {tuple(final.shape)}, diffusers' {tuple(latents.shape)}")
        result["latent_difference"] = float((final - latents).abs().max() / latents.abs().max())
        agrees = agrees and result["latent_difference"] <= options.tolerance
    if picture is not None:
        with torch.no_grad():
            decoded = pipeline.vae.decode(latents[:1] / pipeline.vae.config.scaling_factor).sample
        peer = pipeline.image_processor.postprocess(decoded, output_type="pil")[0]
        if options.keep:
            peer.save(options.keep)
        difference = np.abs(np.asarray(peer).astype(int) - picture)
        result["pixel_difference"] = int(difference.max())
        result["pixels_that_differ"] = float((difference.max(axis=-1) > 0).mean())
        agrees = agrees and result["pixel_difference"] <= 1
    result["agrees"] = agrees
    print(json.dumps(result, indent=2, sort_keys=True))
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
