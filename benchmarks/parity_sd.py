"""Sets what Lethe computes with a Stable Diffusion folder beside what diffusers computes with it.

    python parity_sd.py --lethe .build/release/lethe --folder FOLDER [--threads 2] [--json]

Both get the same inputs: prompts as token ids, standard normal latents, an image. Compared are the text encoder, the
UNet at the size that the model was trained on, decoding and encoding by the autoencoder at the size of its pictures,
one guided DDIM step, and the gradients of the noise-prediction loss for five weights from all over the UNet. Each part
starts from the same inputs in both, so that no part has the errors of another.

The error is the largest absolute difference over the largest absolute value; beside it stands the root mean square of
the difference over that of the values. Status 1 where an error is above its limit: 1e-4 for what goes forward, 1e-3 for
gradients. make_sd14.py writes folders with random weights. One program computes after the other, and PyTorch holds one
part at a time, so that at full size 12 GB of memory are enough.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--lethe", required=True, type=Path, help="the program")
parser.add_argument("--folder", required=True, type=Path, help="a diffusers folder")
parser.add_argument("--threads", type=int, default=2, help="of PyTorch; Lethe takes all cores")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--json", action="store_true", help="print one JSON document")
options = parser.parse_args()
# Before torch is loaded: OpenMP reads it once.
os.environ["OMP_NUM_THREADS"] = str(options.threads)
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers  # noqa: E402
import torch  # noqa: E402
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import CLIPTextModel, CLIPTokenizer  # noqa: E402

PROMPTS = ["a photograph of an astronaut riding a horse", ""]
STEPS, STEP_TIMESTEP, GUIDANCE_SCALE = 50, 501, 7.5
UNET_TIMESTEP, LOSS_TIMESTEP = 981, 261
FORWARD_LIMIT, GRADIENT_LIMIT = 1e-4, 1e-3
# The first convolution, one behind a norm, keys of the text, a norm, and the layer of the time embedding that all
# blocks hang on.
WEIGHTS = [
    "conv_in.weight",
    "down_blocks.0.resnets.0.conv1.weight",
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight",
    "up_blocks.3.resnets.0.norm1.weight",
    "time_embedding.linear_1.weight",
]
PARTS = ["text", "unet", "vae-decode", "vae-encode", "step", "gradients"]


def note(sentence):
    print(sentence, file=sys.stderr)


def load(kind, part):
    model = kind.from_pretrained(options.folder, subfolder=part, local_files_only=True).float().eval()
    return model.requires_grad_(False)


def text_encoder(inputs):
    tokenizer = CLIPTokenizer.from_pretrained(options.folder / "tokenizer", local_files_only=True)
    ids = tokenizer(PROMPTS, padding="max_length", truncation=True, max_length=tokenizer.model_max_length,
                    return_tensors="pt").input_ids
    inputs["text.ids"] = ids.float()
    return {"text.states": load(CLIPTextModel, "text_encoder")(ids)[0]}


def autoencoder(inputs, draw):
    vae = load(AutoencoderKL, "vae")
    size = vae.config.sample_size
    latent = size // 2 ** (len(vae.config.block_out_channels) - 1)
    inputs["decode.latents"] = torch.randn(1, vae.config.latent_channels, latent, latent, generator=draw)
    inputs["encode.images"] = torch.rand(1, 3, size, size, generator=draw) * 2 - 1
    moments = vae.encode(inputs["encode.images"]).latent_dist
    return {"decode.images": vae.decode(inputs["decode.latents"]).sample,
            "encode.mean": moments.mean, "encode.logvar": moments.logvar}


def noise_predictor(inputs, draw, states):
    """The UNet's parts; `states` are those of the two prompts."""
    unet = load(UNet2DConditionModel, "unet")
    scheduler = DDIMScheduler.from_pretrained(options.folder, subfolder="scheduler", local_files_only=True)
    scheduler.set_timesteps(STEPS)
    size, channels = unet.config.sample_size, unet.config.in_channels

    def latents():
        return torch.randn(1, channels, size, size, generator=draw)

    inputs["unet.latents"], inputs["unet.states"] = latents(), states[:1]
    inputs["unet.timesteps"] = torch.tensor([float(UNET_TIMESTEP)])
    outputs = {"unet.noise": unet(inputs["unet.latents"], UNET_TIMESTEP, states[:1]).sample}

    inputs["step.latents"], inputs["step.states"] = latents(), states.flip(0)
    for name, value in [("timestep", STEP_TIMESTEP), ("steps", STEPS), ("guidance_scale", GUIDANCE_SCALE)]:
        inputs[f"step.{name}"] = torch.tensor([float(value)])
    pair = torch.cat([inputs["step.latents"]] * 2)
    without, within = unet(pair, STEP_TIMESTEP, inputs["step.states"]).sample.chunk(2)
    guided = without + GUIDANCE_SCALE * (within - without)
    outputs["step.latents"] = scheduler.step(guided, STEP_TIMESTEP, inputs["step.latents"]).prev_sample

    clean, noise = latents(), latents()
    inputs["gradients.latents"], inputs["gradients.noise"], inputs["gradients.states"] = clean, noise, states[:1]
    inputs["gradients.timesteps"] = torch.tensor([float(LOSS_TIMESTEP)])
    weights = dict(unet.named_parameters())
    for name in WEIGHTS:
        weights[name].requires_grad_()
    with torch.enable_grad():
        noisy = scheduler.add_noise(clean, noise, torch.tensor([LOSS_TIMESTEP]))
        loss = torch.nn.functional.mse_loss(unet(noisy, LOSS_TIMESTEP, states[:1]).sample, noise)
        loss.backward()
    outputs["gradients.loss"] = loss.detach()
    outputs.update({f"gradients.{name}": weights[name].grad for name in WEIGHTS})
    return outputs


def reference():
    """Inputs, and what diffusers makes of them."""
    draw, inputs = torch.Generator().manual_seed(options.seed), {}
    note("diffusers: text encoder ...")
    outputs = text_encoder(inputs)
    gc.collect()
    note("diffusers: autoencoder ...")
    outputs.update(autoencoder(inputs, draw))
    gc.collect()
    note("diffusers: UNet ...")
    outputs.update(noise_predictor(inputs, draw, outputs["text.states"]))
    gc.collect()
    return inputs, outputs


def in_lethe(inputs, scratch):
    save_file({name: value.contiguous().clone() for name, value in inputs.items()}, scratch / "inputs.safetensors")
    found = {}
    for part in PARTS:
        note(f"Lethe: {part} ...")
        command = [options.lethe.resolve(), "forward", f"{options.folder.resolve()}", "--parts", part,
                   "--inputs", scratch / "inputs.safetensors", "--output", scratch / "outputs.safetensors"]
        if part == "gradients":
            command += ["--gradients-of", ",".join(WEIGHTS)]
        if subprocess.run(command).returncode != 0:
            sys.exit(f"lethe forward failed at the part {part}")
        found.update(load_file(scratch / "outputs.safetensors"))
    return found


def compare(name, found, expected):
    difference, expected = found.double() - expected.double(), expected.double()
    limit = GRADIENT_LIMIT if name.startswith("gradients.") and name != "gradients.loss" else FORWARD_LIMIT
    error = float(difference.abs().max() / expected.abs().max())
    # A value that is not a number is above every limit.
    return {"name": name, "shape": list(expected.shape), "rms_of_values": float(expected.square().mean().sqrt()),
            "error": error, "rms_error": float(difference.square().mean().sqrt() / expected.square().mean().sqrt()),
            "limit": limit, "within": error <= limit}


def main():
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    diffusers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()
    inputs, expected = reference()
    with tempfile.TemporaryDirectory() as scratch:
        found = in_lethe(inputs, Path(scratch))
    rows = [compare(name, found[name], value) for name, value in expected.items()]
    if options.json:
        print(json.dumps({"folder": str(options.folder), "torch": torch.__version__,
                          "diffusers": diffusers.__version__, "rows": rows}, indent=2))
    else:
        width = max(len(row["name"]) for row in rows)
        print(f"{'':{width}}  {'shape':20}{'rms':>10}{'error':>10}{'rms error':>11}{'limit':>8}")
        for row in rows:
            print(f"{row['name']:{width}}  {'x'.join(map(str, row['shape'])):20}{row['rms_of_values']:10.3g}"
                  f"{row['error']:10.1e}{row['rms_error']:11.1e}{row['limit']:8.0e}"
                  f"{'' if row['within'] else '  above the limit'}")
        print(f"\ndiffusers {diffusers.__version__}, PyTorch {torch.__version__}")
    sys.exit(0 if all(row["within"] for row in rows) else 1)


if __name__ == "__main__":
    main()
