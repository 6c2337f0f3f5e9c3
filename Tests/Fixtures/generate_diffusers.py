"""Writes the parity fixtures: tiny models with random weights, and what diffusers and transformers compute with them.

    tiny-diffusers/         a Stable Diffusion folder that StableDiffusionPipeline.save_pretrained wrote
    tiny-clip/              a CLIPModel folder: text and vision towers with both projections
    reference.safetensors   inputs and outputs of every part (names: see README.md)
    reference.json          prompts, token ids, file versions, names of the parameters behind the gradient norms
    frechet.safetensors     feature sets and the Frechet distances that scipy's sqrtm gives

Everything is drawn from fixed seeds, on one thread. Usage: python generate_diffusers.py  (needs torch, diffusers,
transformers, scipy, safetensors; run from anywhere, it writes beside itself).
"""

import json
import math
import re
import shutil
from pathlib import Path

import diffusers
import numpy as np
import scipy
import scipy.linalg
import torch
import transformers
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

HERE = Path(__file__).resolve().parent
MAX_LENGTH = 16
GUIDANCE_SCALE = 7.5
STEPS = 10
WORDS = (
    "a an the photo of red green blue circle square striped dotted on white black background painting with star"
    " hello world"
)
PROMPTS = ["a red striped circle on a white background", "A photo of a blue star, with dots!", ""]
TOKENIZER_CASES = PROMPTS + [
    "  The   RED\tcircle\n on\u00a0white ",
    "circlet, squares & 3 stars 1234",
    "it's the artist's",
    "we'll they've I'm you'd don't",
    "na\u00efve caf\u00e9",
    "cafe\u0301 \u00c5ng",
    "\u65e5\u672c\u8a9e",
    "and \U0001f600\u2728",
    "red-green_blue/white... #1",
    "$5.00 (50%) <b>",
    "<|startoftext|>circle<|endoftext|> star",
    "a a a a a a a a a a a a a a a a a a a a red circle",
    "\u0130s STRASSE",
    "\u1e9e \u03a3\u03a3 \u01c5",
    "\u0663\u0664 \u00bd \u2167 x\u00b2",
    "zqxj'S 'T",
]


def byte_symbols():
    """The 256 printable stand-ins for bytes that GPT-2 and CLIP use, in the order of CLIP's vocabulary."""
    kept = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    moved = [byte for byte in range(256) if byte not in kept]
    return [chr(byte) for byte in kept] + [chr(256 + index) for index in range(len(moved))]


def write_vocabulary():
    """Merges that make one token of each of WORDS: what the merges so far leave in pieces is joined from the left."""
    merges = []

    def pieces(word):
        parts = list(word[:-1]) + [word[-1] + "</w>"]
        while True:
            ranked = [
                (merges.index(pair), index) for index, pair in enumerate(zip(parts, parts[1:])) if pair in merges
            ]
            if not ranked:
                return parts
            _, index = min(ranked)
            parts[index : index + 2] = ["".join(parts[index : index + 2])]

    for word in WORDS.split():
        while len(parts := pieces(word)) > 1:
            merges.append((parts[0], parts[1]))
    symbols = byte_symbols()
    tokens = symbols + [symbol + "</w>" for symbol in symbols] + ["".join(pair) for pair in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: index for index, token in enumerate(tokens)}, [" ".join(pair) for pair in merges]


def randomise(model, generator, gain=1.0):
    """Redraws every parameter so that values stay near one and no path is idle: nothing zero, no norm at rest."""
    for name, parameter in sorted(model.named_parameters()):
        normal = torch.randn(parameter.shape, generator=generator)
        if name.endswith("logit_scale"):
            value = torch.tensor(math.log(20.0))
        elif "embedding" in name and name.endswith("embedding.weight"):
            value = 0.7 * normal
        elif name.endswith("class_embedding"):
            value = 0.7 * normal
        elif parameter.ndim >= 2:
            value = gain * normal / math.sqrt(parameter[0].numel())
        elif name.endswith("weight"):
            value = 1 + 0.2 * normal
        else:
            value = 0.1 * normal
        parameter.data.copy_(value)
    return model.eval()


def tiny_pipeline(tokenizer):
    generator = torch.Generator().manual_seed(20240501)
    # The token ids of Stable Diffusion's own text_encoder/config.json, which predate the fix of CLIP's config:
    # end-of-text 2 is the sign to pool at the largest id.
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=20, intermediate_size=40, num_hidden_layers=3,
            num_attention_heads=4, max_position_embeddings=MAX_LENGTH, projection_dim=20, hidden_act="quick_gelu",
            bos_token_id=0, eos_token_id=2, pad_token_id=1,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16, 24), layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=4, cross_attention_dim=20, norm_num_groups=4,
    )
    vae = AutoencoderKL(
        sample_size=32, block_out_channels=(8, 12, 16), layers_per_block=2, norm_num_groups=4, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        scaling_factor=0.18215,
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000,
        clip_sample=False, set_alpha_to_one=False, steps_offset=1, prediction_type="epsilon",
    )
    for model in (text_encoder, unet, vae):
        randomise(model, generator)
    return StableDiffusionPipeline(
        vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )


def tiny_clip(tokenizer):
    text = dict(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=MAX_LENGTH, hidden_act="quick_gelu", bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )
    vision = dict(
        hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=3, image_size=32, patch_size=8,
        hidden_act="quick_gelu",
    )
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=12))
    return randomise(model, torch.Generator().manual_seed(20240502))


def observed(model, run):
    """Runs the model and returns every block's output, named as its weights are (`out.` + module path)."""
    outputs, hooks = {}, []
    block = re.compile(
        r"conv_in|time_proj|time_embedding|mid_block|(down|up)_blocks\.\d+"
        r"|.*\.(resnets|attentions)\.\d+|.*\.transformer_blocks\.\d+"
    )
    for name, module in model.named_modules():
        if block.fullmatch(name):
            def hook(module, arguments, output, name=name):
                value = output[0] if isinstance(output, tuple) else getattr(output, "sample", output)
                if torch.is_tensor(value):
                    outputs[name] = value.detach()
            hooks.append(module.register_forward_hook(hook))
    result = run()
    for hook in hooks:
        hook.remove()
    return result, outputs


def gradient_norms(model, loss):
    model.zero_grad()
    loss.backward()
    named = sorted((name, parameter.grad) for name, parameter in model.named_parameters() if parameter.grad is not None)
    return [name for name, _ in named], torch.stack([gradient.double().norm() for _, gradient in named]).float()


def guided_latents(pipeline, noise, hidden, steps=STEPS):
    """The pipeline's own loop for a latent output; `hidden` is (2, T, C): the prompt's states, then the empty one's."""
    with torch.no_grad():
        return pipeline(
            prompt_embeds=hidden[:1], negative_prompt_embeds=hidden[1:], latents=noise, num_inference_steps=steps,
            guidance_scale=GUIDANCE_SCALE, output_type="latent",
        ).images


def diffusion_reference(pipeline, tensors, record):
    draw = torch.Generator().manual_seed(7)
    tokenizer, text_encoder, unet, vae = pipeline.tokenizer, pipeline.text_encoder, pipeline.unet, pipeline.vae

    def encode(prompts):
        ids = tokenizer(prompts, padding="max_length", truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
        return ids.input_ids

    record["prompts"] = PROMPTS
    record["tokens"] = [{"text": text, "ids": encode([text])[0].tolist()} for text in TOKENIZER_CASES]

    ids = encode(PROMPTS)
    output = text_encoder(ids, output_hidden_states=True)
    hidden = output.last_hidden_state
    tensors["text.hidden"] = hidden
    tensors["text.pooled"] = output.pooler_output
    tensors["text.embeddings"] = output.hidden_states[0]
    tensors["text.layer_1"] = output.hidden_states[1]
    upstream = torch.randn(hidden.shape, generator=draw)
    tensors["text.upstream"] = upstream
    record["text.gradient_parameters"], tensors["text.gradient_norms"] = gradient_norms(
        text_encoder, (hidden * upstream).mean())
    hidden = hidden.detach()

    sample = torch.randn(2, 4, 8, 8, generator=draw)
    timesteps = torch.tensor([981, 37])
    target = torch.randn(2, 4, 8, 8, generator=draw)
    predicted, blocks = observed(unet, lambda: unet(sample, timesteps, hidden[:2]).sample)
    tensors["unet.sample"], tensors["unet.timesteps"] = sample, timesteps.float()
    tensors["unet.hidden"], tensors["unet.target"] = hidden[:2], target
    tensors["unet.output"] = predicted
    for name, value in blocks.items():
        tensors["unet.out." + name] = value[:1]
    loss = torch.nn.functional.mse_loss(predicted, target)
    tensors["unet.loss"] = loss.reshape(1)
    record["unet.gradient_parameters"], tensors["unet.gradient_norms"] = gradient_norms(unet, loss)
    kept = [
        "conv_in.weight", "time_embedding.linear_1.weight", "down_blocks.0.downsamplers.0.conv.weight",
        "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight",
        "down_blocks.1.resnets.0.time_emb_proj.weight",
        "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj.weight",
        "up_blocks.1.resnets.0.norm1.weight", "up_blocks.2.attentions.2.transformer_blocks.0.attn1.to_out.0.bias",
        "conv_out.bias",
    ]
    for name, parameter in unet.named_parameters():
        if name in kept:
            tensors["unet.gradient." + name] = parameter.grad
    with torch.no_grad():
        # Wider than high, and one timestep for the whole batch.
        wide = torch.randn(1, 4, 8, 16, generator=draw)
        tensors["unet.wide.sample"] = wide
        tensors["unet.wide.output"] = unet(wide, 500, hidden[2:3]).sample

    images = torch.rand(2, 3, 32, 32, generator=draw) * 2 - 1
    moments, encoder_blocks = observed(vae.encoder, lambda: vae.encoder(images))
    distribution = vae.encode(images).latent_dist
    tensors["vae.images"] = images
    tensors["vae.mean"], tensors["vae.logvar"] = distribution.mean, distribution.logvar
    latents = torch.randn(2, 4, 8, 8, generator=draw)
    _, decoder_blocks = observed(vae.decoder, lambda: vae.decoder(vae.post_quant_conv(latents)))
    tensors["vae.latents"], tensors["vae.decoded"] = latents, vae.decode(latents).sample
    for part, blocks in (("encoder", encoder_blocks), ("decoder", decoder_blocks)):
        for name, value in blocks.items():
            if ".resnets." not in name:
                tensors[f"vae.out.{part}.{name}"] = value[:1]
    loss = torch.nn.functional.mse_loss(vae.decode(distribution.mean).sample, images)
    loss = loss + 0.01 * distribution.kl().mean()
    tensors["vae.loss"] = loss.reshape(1)
    record["vae.gradient_parameters"], tensors["vae.gradient_norms"] = gradient_norms(vae, loss)

    scheduler = pipeline.scheduler
    scheduler.set_timesteps(STEPS)
    tensors["ddim.timesteps"] = scheduler.timesteps.float()
    tensors["ddim.alphas_cumprod"] = scheduler.alphas_cumprod[::37].clone()
    noise = torch.randn(1, 4, 8, 8, generator=draw)
    pair = torch.cat([hidden[:1], hidden[2:3]])
    final = guided_latents(pipeline, noise, pair)
    tensors["ddim.noise"], tensors["ddim.latents"] = noise, final
    tensors["ddim.scheduler_step"] = scheduler.step(sample, 501, latents).prev_sample
    tensors["ddim.add_noise"] = scheduler.add_noise(latents, sample, timesteps)
    with torch.no_grad():
        tensors["ddim.image"] = vae.decode(final / vae.config.scaling_factor).sample

        # How far rounding alone may carry the latent: a start that is off by one part in a million, and float64.
        nudged = guided_latents(pipeline, noise * (1 + 1e-6), pair)
        double = StableDiffusionPipeline.from_pretrained(HERE / "tiny-diffusers", dtype=torch.float64)
        double.set_progress_bar_config(disable=True)
        exact = guided_latents(double, noise.double(), pair.double())
    record["ddim.sensitivity"] = relative(nudged, final) / 1e-6
    record["ddim.float64_difference"] = relative(final.double(), exact)
    record["unet.float64_difference"] = relative(
        predicted.detach().double(), double.unet(sample.double(), timesteps, hidden[:2].double()).sample)


def relative(value, expected):
    return float((value - expected).detach().abs().max() / expected.detach().abs().max())


def clip_reference(clip, tokenizer, tensors, record):
    draw = torch.Generator().manual_seed(8)
    pixels = torch.randn(3, 3, 32, 32, generator=draw)
    ids = tokenizer(PROMPTS, padding="max_length", truncation=True, max_length=MAX_LENGTH,
                    return_tensors="pt").input_ids
    output = clip(input_ids=ids, pixel_values=pixels)
    tensors["clip.pixels"] = pixels
    tensors["clip.image_embeds"], tensors["clip.text_embeds"] = output.image_embeds, output.text_embeds
    tensors["clip.logits_per_image"] = output.logits_per_image
    vision = clip.vision_model(pixel_values=pixels)
    tensors["clip.vision_hidden"], tensors["clip.vision_pooled"] = vision.last_hidden_state, vision.pooler_output
    tensors["clip.image_projection"] = clip.visual_projection(vision.pooler_output)
    text = clip.text_model(input_ids=ids)
    tensors["clip.text_hidden"], tensors["clip.text_pooled"] = text.last_hidden_state, text.pooler_output
    tensors["clip.text_projection"] = clip.text_projection(text.pooler_output)
    labels = torch.arange(3)
    cross_entropy = torch.nn.functional.cross_entropy
    loss = (cross_entropy(output.logits_per_image, labels) + cross_entropy(output.logits_per_text, labels)) / 2
    tensors["clip.loss"] = loss.reshape(1)
    record["clip.gradient_parameters"], tensors["clip.gradient_norms"] = gradient_norms(clip, loss)


def frechet_distance(first, second):
    """Frechet distance of two Gaussians fitted to feature rows (Heusel et al., 2017, equation 6), in float64."""
    first, second = first.double().numpy(), second.double().numpy()
    covariances = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    shift = first.mean(0) - second.mean(0)
    return float(shift @ shift + np.trace(covariances[0] + covariances[1] - 2 * root.real))


def frechet_fixture():
    draw = torch.Generator().manual_seed(9)
    mix = torch.randn(16, 16, generator=draw) / 4
    first = torch.randn(200, 16, generator=draw) @ mix + 0.3
    second = torch.randn(150, 16, generator=draw) @ (mix + 0.2 * torch.randn(16, 16, generator=draw))
    # Fewer rows than features: both covariances are singular, the case that breaks a naive square root.
    few, other = first[:9].clone(), second[:7].clone()
    # Features that never vary, as a dead unit of a judge network gives.
    dead = first.clone()
    dead[:, 3] = 0
    save_file({"full.first": first, "full.second": second, "deficient.first": few, "deficient.second": other,
               "dead.first": dead}, HERE / "frechet.safetensors")

    # Where the product is singular scipy's square root is unreliable; there the trace of the root is taken from the
    # eigenvalues of the symmetric form, which has the same trace.
    def symmetric(first, second):
        first, second = first.double().numpy(), second.double().numpy()
        covariances = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
        values, vectors = np.linalg.eigh(covariances[0])
        half = vectors @ np.diag(np.sqrt(values.clip(0))) @ vectors.T
        trace = np.sqrt(np.linalg.eigvalsh(half @ covariances[1] @ half).clip(0)).sum()
        shift = first.mean(0) - second.mean(0)
        return float(shift @ shift + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * trace)

    return {
        name: {"scipy_sqrtm": frechet_distance(*pair), "symmetric": symmetric(*pair)}
        for name, pair in {
            "full": (first, second), "same": (first, first), "deficient": (few, other), "dead": (dead, second),
        }.items()
    }


def main():
    torch.set_num_threads(1)
    for folder in ("tiny-diffusers", "tiny-clip"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
    vocabulary, merges = write_vocabulary()
    tokenizer = CLIPTokenizer(
        vocab=vocabulary, merges=[tuple(merge.split()) for merge in merges], model_max_length=MAX_LENGTH)
    pipeline = tiny_pipeline(tokenizer)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(HERE / "tiny-diffusers", safe_serialization=True)
    # transformers 5 keeps the tokenizer in one tokenizer.json; the two files it is made of, in the layout of the
    # published Stable Diffusion folders, are what every earlier version and Lethe read.
    folder = HERE / "tiny-diffusers" / "tokenizer"
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False) + "\n")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(merge + "\n" for merge in merges))
    clip = tiny_clip(tokenizer)
    clip.save_pretrained(HERE / "tiny-clip")

    tensors = {}
    record = {"versions": {"torch": torch.__version__, "diffusers": diffusers.__version__,
                           "transformers": transformers.__version__, "scipy": scipy.__version__}}
    diffusion_reference(pipeline, tensors, record)
    clip_reference(clip, tokenizer, tensors, record)
    record["frechet"] = frechet_fixture()
    save_file({name: tensor.detach().float().clone().contiguous() for name, tensor in tensors.items()},
              HERE / "reference.safetensors")
    (HERE / "reference.json").write_text(json.dumps(record, indent=1, sort_keys=True, ensure_ascii=True) + "\n")
    for name in sorted(tensors):
        value = tensors[name].detach().float()
        rms, largest = value.square().mean().sqrt(), value.abs().max()
        print(f"{name:80s} {str(tuple(value.shape)):20s} rms {rms:.3g} max {largest:.3g}")
    print({key: record[key] for key in record if "difference" in key or "sensitivity" in key}, record["frechet"])


if __name__ == "__main__":
    main()
