"""Writes variants/: a UNet or autoencoder for each group of settings that tiny-diffusers leaves at their defaults.

Each folder is what save_pretrained writes, with random weights, and a reference.safetensors of inputs and outputs.
Usage: python generate_variants.py  (needs torch, diffusers, safetensors; it writes beside itself).
"""

import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file

FOLDER = Path(__file__).resolve().parent / "variants"
UNET = dict(
    sample_size=8, in_channels=3, out_channels=3, block_out_channels=(4, 8), norm_num_groups=2, cross_attention_dim=6)
UNETS = {
    # What Stable Diffusion 2 has, and every number that v1 leaves at its default.
    "unet-linear": dict(
        use_linear_projection=True, attention_head_dim=(2, 4), layers_per_block=1, transformer_layers_per_block=(1, 2),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        act_fn="gelu", flip_sin_to_cos=False, freq_shift=1, center_input_sample=True, downsample_padding=0,
        mid_block_scale_factor=1.4),
    "unet-mixed": dict(
        conv_in_kernel=5, conv_out_kernel=1, time_embedding_dim=10, layers_per_block=(1, 2), attention_head_dim=2,
        mid_block_type="UNetMidBlock2D", down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), norm_eps=1e-3),
}
VAE = dict(
    block_out_channels=(4, 8), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    norm_num_groups=2, latent_channels=3)
VAES = {
    "vae-plain": dict(use_quant_conv=False, use_post_quant_conv=False, mid_block_add_attention=False),
    "vae-relu": dict(act_fn="relu", layers_per_block=2),
}


def vary(model, draw):
    """Norms and biases start as ones and zeros, which would hide a mistake."""
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=draw)
    return model.eval()


def save(name, model, tensors):
    model.save_pretrained(FOLDER / name)
    save_file({key: value.detach().contiguous() for key, value in tensors.items()}, FOLDER / name / "reference.safetensors")


def main():
    torch.set_num_threads(1)
    torch.manual_seed(20)
    draw = torch.Generator().manual_seed(21)
    shutil.rmtree(FOLDER, ignore_errors=True)
    with torch.no_grad():
        for name, settings in UNETS.items():
            unet = vary(UNet2DConditionModel(**UNET, **settings), draw)
            sample, hidden = torch.randn(2, 3, 4, 6, generator=draw), torch.randn(2, 5, 6, generator=draw)
            output = unet(sample, torch.tensor([981, 37]), hidden).sample
            save(name, unet, {"sample": sample, "hidden": hidden, "output": output})
        for name, settings in VAES.items():
            vae = vary(AutoencoderKL(**VAE, **settings), draw)
            images = torch.randn(2, 3, 8, 12, generator=draw)
            mean = vae.encode(images).latent_dist.mean
            save(name, vae, {"images": images, "mean": mean, "decoded": vae.decode(mean).sample})


if __name__ == "__main__":
    main()
