"""Writes a Stable Diffusion folder of the published size with random weights, as diffusers itself writes it.

    python make_sd14.py FOLDER [--version 1.4|2.1] [--dtype float32|float16] [--small] [--seed 0]

The configurations are those of the published folders: 1.4 with the PNDM scheduler, 2.1 with DDIM and v-prediction; no
safety checker. --small keeps every setting but the widths and sizes, for a trial that takes seconds. Weights are drawn
from a fixed seed so that no path is idle and values stay near one: nothing is zero and no norm is at rest, or mistakes
in them would not show. The vocabulary has CLIP's layout and size with merges of its own: pairs of letters and digits,
then letters added to these, in alphabetical order.

Needs torch, diffusers and transformers, and about 6 GB of memory at full size. No network.
"""

import argparse
import json
import math
import os
import string
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers  # noqa: E402
import torch  # noqa: E402
from diffusers import AutoencoderKL, DDIMScheduler, PNDMScheduler, StableDiffusionPipeline  # noqa: E402
from diffusers import UNet2DConditionModel  # noqa: E402
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer  # noqa: E402

VOCABULARY_SIZE = 49408
MAX_LENGTH = 77
UNETS = {
    "1.4": dict(sample_size=64, cross_attention_dim=768, attention_head_dim=8),
    "2.1": dict(sample_size=96, cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20),
                use_linear_projection=True, upcast_attention=True),
}
UNET_WIDTHS, VAE_WIDTHS = (320, 640, 1280, 1280), (128, 256, 512, 512)
TEXT_ENCODERS = {
    "1.4": dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
                projection_dim=768, hidden_act="quick_gelu", pad_token_id=1),
    "2.1": dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16,
                projection_dim=512, hidden_act="gelu", pad_token_id=1),
}
NOISE = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
             set_alpha_to_one=False, steps_offset=1)


def byte_symbols():
    """The 256 printable stand-ins for bytes that GPT-2 and CLIP use, in the order of CLIP's vocabulary."""
    kept = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    moved = [byte for byte in range(256) if byte not in kept]
    return [chr(byte) for byte in kept] + [chr(256 + index) for index in range(len(moved))]


def merges():
    """Every pair of letters and digits, within a word and at its end, then pairs of letters with one letter or two."""
    letters = string.ascii_lowercase
    characters = letters + string.digits
    for end in ("", "</w>"):
        yield from ((first, second + end) for first in characters for second in characters)
    pairs = [first + second for first in letters for second in letters]
    for end in ("", "</w>"):
        yield from ((pair, letter + end) for pair in pairs for letter in letters)
    yield from ((pair, other + "</w>") for pair in pairs for other in pairs)


def tokenizer(version):
    symbols = byte_symbols()
    tokens = symbols + [symbol + "</w>" for symbol in symbols]
    joined = [pair for pair, _ in zip(merges(), range(VOCABULARY_SIZE - len(tokens) - 2))]
    tokens += ["".join(pair) for pair in joined] + ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    assert len(vocabulary) == VOCABULARY_SIZE
    padding = "<|endoftext|>" if version == "1.4" else "!"
    return vocabulary, joined, CLIPTokenizer(
        vocab=vocabulary, merges=joined, model_max_length=MAX_LENGTH, pad_token=padding)


def randomise(model, generator):
    """Redraws every parameter: matrices and filters keep the scale of what they are given."""
    for name, parameter in model.named_parameters():
        parameter.data.normal_(generator=generator)
        if "embedding" in name and name.endswith("embedding.weight"):
            parameter.data.mul_(0.7)
        elif parameter.ndim >= 2:
            parameter.data.div_(math.sqrt(parameter[0].numel()))
        elif name.endswith("weight"):
            parameter.data.mul_(0.2).add_(1)
        else:
            parameter.data.mul_(0.1)
    return model.eval()


def models(version, small):
    unet, text = dict(UNETS[version]), dict(TEXT_ENCODERS[version])
    unet_widths, vae_widths, groups, image_size = UNET_WIDTHS, VAE_WIDTHS, 32, 8 * unet["sample_size"]
    if small:
        unet_widths, vae_widths, groups, image_size = (32, 64, 128, 128), (16, 32, 64, 64), 8, 128
        unet.update(sample_size=16, cross_attention_dim=64)
        if version == "2.1":
            unet["attention_head_dim"] = (2, 4, 8, 8)
        text.update(hidden_size=64, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4)
    yield "unet", UNet2DConditionModel(
        in_channels=4, out_channels=4, block_out_channels=unet_widths, layers_per_block=2, norm_num_groups=groups,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3, **unet)
    yield "vae", AutoencoderKL(
        sample_size=image_size, block_out_channels=vae_widths, layers_per_block=2, norm_num_groups=groups,
        latent_channels=4, scaling_factor=0.18215, down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4)
    # The token ids of the published folders, which predate the fix of CLIP's configuration: end-of-text 2 means that
    # the largest id is pooled.
    yield "text_encoder", CLIPTextModel(CLIPTextConfig(
        vocab_size=VOCABULARY_SIZE, max_position_embeddings=MAX_LENGTH, bos_token_id=0, eos_token_id=2, **text))


def scheduler(version):
    if version == "1.4":
        return PNDMScheduler(skip_prk_steps=True, **NOISE)
    return DDIMScheduler(clip_sample=False, prediction_type="v_prediction", **NOISE)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--version", choices=sorted(UNETS), default="1.4")
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32")
    parser.add_argument("--small", action="store_true", help="narrow models for a trial")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    diffusers.utils.logging.disable_progress_bar()
    vocabulary, joined, made = tokenizer(options.version)
    parts = {name: randomise(model, generator).to(getattr(torch, options.dtype))
             for name, model in models(options.version, options.small)}
    pipeline = StableDiffusionPipeline(
        **parts, tokenizer=made, scheduler=scheduler(options.version), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False)
    pipeline.save_pretrained(options.folder, safe_serialization=True)
    # transformers 5 keeps the tokenizer in one tokenizer.json; the published folders have the two files that it is
    # made of.
    folder = options.folder / "tokenizer"
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in joined), encoding="utf-8")
    for name, model in parts.items():
        print(f"{options.folder / name}: {sum(weight.numel() for weight in model.parameters()):,} parameters")


if __name__ == "__main__":
    main()
