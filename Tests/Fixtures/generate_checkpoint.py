"""Writes checkpoint.json: how diffusers renames the weights of a model in a single file.

Small models in the architecture of Stable Diffusion 1 and 2. Each weight of a single file is a tensor of its own, put
through diffusers' own conversion; what comes out under which name is what is written, with the shapes in the single file
and the configurations of the models that the names belong to. No values are kept: a test makes its own.

Usage: python generate_checkpoint.py  (needs torch, diffusers, transformers; it writes beside itself).
"""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint, convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint, convert_open_clip_checkpoint)
from transformers import CLIPTextConfig, CLIPTextModel

PLACE = Path(__file__).resolve().parent / "checkpoint.json"
WIDTH = 64
MODELS = {
    "first": dict(
        unet=dict(
            block_out_channels=(32, 64, 64), layers_per_block=1, attention_head_dim=8,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D")),
        vae=dict(block_out_channels=(32, 64), layers_per_block=2), act="quick_gelu"),
    "second": dict(
        unet=dict(
            block_out_channels=(32, 64), layers_per_block=2, attention_head_dim=(1, 1), use_linear_projection=True,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")),
        vae=dict(block_out_channels=(32, 32, 64), layers_per_block=1), act="gelu"),
}


class Shapes:
    """The original naming, written out as the original code builds its modules."""

    def __init__(self):
        self.tensors = {}

    def add(self, name, shape):
        self.tensors[name] = torch.zeros(shape)

    def layer(self, name, shape, bias=True):
        self.add(name + ".weight", shape)
        if bias:
            self.add(name + ".bias", shape[:1])

    def norm(self, name, channels):
        self.layer(name, (channels,))

    def conv(self, name, inputs, outputs, kernel=3):
        self.layer(name, (outputs, inputs, kernel, kernel))

    def resnet(self, name, inputs, outputs, time):
        self.norm(f"{name}.in_layers.0", inputs)
        self.conv(f"{name}.in_layers.2", inputs, outputs)
        self.layer(f"{name}.emb_layers.1", (outputs, time))
        self.norm(f"{name}.out_layers.0", outputs)
        self.conv(f"{name}.out_layers.3", outputs, outputs)
        if inputs != outputs:
            self.conv(f"{name}.skip_connection", inputs, outputs, 1)

    def transformer(self, name, channels, linear):
        self.norm(f"{name}.norm", channels)
        for end in ("proj_in", "proj_out"):
            self.layer(f"{name}.{end}", (channels, channels) if linear else (channels, channels, 1, 1))
        block = f"{name}.transformer_blocks.0"
        for attention, context in (("attn1", channels), ("attn2", WIDTH)):
            self.layer(f"{block}.{attention}.to_q", (channels, channels), bias=False)
            self.layer(f"{block}.{attention}.to_k", (channels, context), bias=False)
            self.layer(f"{block}.{attention}.to_v", (channels, context), bias=False)
            self.layer(f"{block}.{attention}.to_out.0", (channels, channels))
        self.layer(f"{block}.ff.net.0.proj", (8 * channels, channels))
        self.layer(f"{block}.ff.net.2", (channels, 4 * channels))
        for index in (1, 2, 3):
            self.norm(f"{block}.norm{index}", channels)

    def unet(self, channels, layers, down_types, up_types, linear):
        """As openaimodel.UNetModel numbers its blocks: by appending them."""
        root = "model.diffusion_model."
        time = 4 * channels[0]
        self.layer(root + "time_embed.0", (time, channels[0]))
        self.layer(root + "time_embed.2", (time, time))
        self.conv(root + "input_blocks.0.0", 4, channels[0])
        block, width, skips = 0, channels[0], [channels[0]]
        for level, outputs in enumerate(channels):
            for _ in range(layers):
                block += 1
                self.resnet(f"{root}input_blocks.{block}.0", width, outputs, time)
                width = outputs
                if down_types[level].startswith("Cross"):
                    self.transformer(f"{root}input_blocks.{block}.1", width, linear)
                skips.append(width)
            if level + 1 < len(channels):
                block += 1
                self.conv(f"{root}input_blocks.{block}.0.op", width, width)
                skips.append(width)
        self.resnet(root + "middle_block.0", width, width, time)
        self.transformer(root + "middle_block.1", width, linear)
        self.resnet(root + "middle_block.2", width, width, time)
        block = 0
        for level in reversed(range(len(channels))):
            for layer in range(layers + 1):
                self.resnet(f"{root}output_blocks.{block}.0", width + skips.pop(), channels[level], time)
                width, place = channels[level], 1
                if up_types[len(channels) - 1 - level].startswith("Cross"):
                    self.transformer(f"{root}output_blocks.{block}.1", width, linear)
                    place = 2
                if level > 0 and layer == layers:
                    self.conv(f"{root}output_blocks.{block}.{place}.conv", width, width)
                block += 1
        self.norm(root + "out.0", width)
        self.conv(root + "out.2", width, 4)

    def plain_resnet(self, name, inputs, outputs):
        self.norm(f"{name}.norm1", inputs)
        self.conv(f"{name}.conv1", inputs, outputs)
        self.norm(f"{name}.norm2", outputs)
        self.conv(f"{name}.conv2", outputs, outputs)
        if inputs != outputs:
            self.conv(f"{name}.nin_shortcut", inputs, outputs, 1)

    def middle(self, name, width):
        self.plain_resnet(f"{name}.block_1", width, width)
        self.norm(f"{name}.attn_1.norm", width)
        for layer in ("q", "k", "v", "proj_out"):
            self.conv(f"{name}.attn_1.{layer}", width, width, 1)
        self.plain_resnet(f"{name}.block_2", width, width)

    def vae(self, channels, layers):
        root = "first_stage_model."
        self.conv(root + "encoder.conv_in", 3, channels[0])
        width = channels[0]
        for level, outputs in enumerate(channels):
            for layer in range(layers):
                self.plain_resnet(f"{root}encoder.down.{level}.block.{layer}", width, outputs)
                width = outputs
            if level + 1 < len(channels):
                self.conv(f"{root}encoder.down.{level}.downsample.conv", width, width)
        self.middle(root + "encoder.mid", width)
        self.norm(root + "encoder.norm_out", width)
        self.conv(root + "encoder.conv_out", width, 8)
        self.conv(root + "decoder.conv_in", 4, width)
        self.middle(root + "decoder.mid", width)
        for level in reversed(range(len(channels))):
            for layer in range(layers + 1):
                self.plain_resnet(f"{root}decoder.up.{level}.block.{layer}", width, channels[level])
                width = channels[level]
            if level > 0:
                self.conv(f"{root}decoder.up.{level}.upsample.conv", width, width)
        self.norm(root + "decoder.norm_out", width)
        self.conv(root + "decoder.conv_out", width, 3)
        self.conv(root + "quant_conv", 8, 8, 1)
        self.conv(root + "post_quant_conv", 4, 4, 1)

    def clip(self, config):
        root = "cond_stage_model.transformer.text_model."
        self.add(root + "embeddings.token_embedding.weight", (config.vocab_size, WIDTH))
        self.add(root + "embeddings.position_embedding.weight", (config.max_position_embeddings, WIDTH))
        for index in range(config.num_hidden_layers):
            block = f"{root}encoder.layers.{index}"
            for layer in ("k_proj", "v_proj", "q_proj", "out_proj"):
                self.layer(f"{block}.self_attn.{layer}", (WIDTH, WIDTH))
            self.norm(f"{block}.layer_norm1", WIDTH)
            self.layer(f"{block}.mlp.fc1", (config.intermediate_size, WIDTH))
            self.layer(f"{block}.mlp.fc2", (WIDTH, config.intermediate_size))
            self.norm(f"{block}.layer_norm2", WIDTH)
        self.norm(root + "final_layer_norm", WIDTH)

    def open_clip(self, config):
        root = "cond_stage_model.model."
        self.add(root + "positional_embedding", (config.max_position_embeddings, WIDTH))
        self.add(root + "text_projection", (WIDTH, WIDTH))
        self.add(root + "logit_scale", ())
        self.layer(root + "token_embedding", (config.vocab_size, WIDTH), bias=False)
        # One layer more than the model has: the last one is not used.
        for index in range(config.num_hidden_layers + 1):
            block = f"{root}transformer.resblocks.{index}"
            self.norm(f"{block}.ln_1", WIDTH)
            self.add(f"{block}.attn.in_proj_weight", (3 * WIDTH, WIDTH))
            self.add(f"{block}.attn.in_proj_bias", (3 * WIDTH,))
            self.layer(f"{block}.attn.out_proj", (WIDTH, WIDTH))
            self.norm(f"{block}.ln_2", WIDTH)
            self.layer(f"{block}.mlp.c_fc", (config.intermediate_size, WIDTH))
            self.layer(f"{block}.mlp.c_proj", (WIDTH, config.intermediate_size))
        self.norm(root + "ln_final", WIDTH)


def traced(tensors):
    """Every value is a number of its own, so that a converted tensor tells where it came from."""
    result, owners, next_value = {}, [], 0
    for name, tensor in tensors.items():
        count = tensor.numel()
        result[name] = torch.arange(next_value, next_value + count, dtype=torch.float64).reshape(tensor.shape)
        owners.append((next_value, name))
        next_value += count
    return result, owners


def origin(tensor, owners, tensors):
    """The original name, and the row of it that a part of a fused weight begins with."""
    values = tensor.flatten()
    first = int(values[0])
    assert torch.equal(values, torch.arange(first, first + values.numel(), dtype=torch.float64)), "values were moved"
    start, name = [owner for owner in owners if owner[0] <= first][-1]
    whole = tensors[name]
    rows = (first - start) // (whole.numel() // whole.shape[0]) if whole.ndim else 0
    return [name, list(whole.shape), rows]


def renamed(converted, model, tensors, owners, strip=""):
    names = {}
    state = {name: list(tensor.shape) for name, tensor in model.state_dict().items() if "position_ids" not in name}
    for name, tensor in converted.items():
        bare = name.removeprefix(strip) if strip and name.removeprefix(strip) in state else name
        assert state.pop(bare) == list(tensor.shape), name
        names[name] = origin(tensor, owners, tensors)
    assert not state, state
    return names


def main():
    result = {}
    for name, settings in MODELS.items():
        text_config = CLIPTextConfig(
            vocab_size=640, hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=2, num_attention_heads=1,
            max_position_embeddings=20, hidden_act=settings["act"], bos_token_id=638, eos_token_id=639)
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=WIDTH, **settings["unet"])
        levels = len(settings["vae"]["block_out_channels"])
        vae = AutoencoderKL(
            sample_size=64 << (levels - 1), down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels, **settings["vae"])
        text = CLIPTextModel(text_config)

        shapes = Shapes()
        shapes.unet(
            settings["unet"]["block_out_channels"], settings["unet"]["layers_per_block"],
            settings["unet"]["down_block_types"], settings["unet"]["up_block_types"],
            settings["unet"].get("use_linear_projection", False))
        shapes.vae(settings["vae"]["block_out_channels"], settings["vae"]["layers_per_block"])
        (shapes.clip if name == "first" else shapes.open_clip)(text_config)
        tensors, owners = traced(shapes.tensors)
        if name == "first":
            texts = convert_ldm_clip_checkpoint(dict(tensors))
        else:
            texts = convert_open_clip_checkpoint(text, dict(tensors))
            # diffusers leaves out the last of 24 layers and the projection by name; this model has fewer layers.
            texts = {key: value for key, value in texts.items() if ".layers.2." not in key and key != "text_projection.weight"}
        parts = {
            "unet": {
                "config": json.loads(unet.to_json_string()),
                "weights": renamed(convert_ldm_unet_checkpoint(dict(tensors), unet.config), unet, tensors, owners)},
            "vae": {
                "config": json.loads(vae.to_json_string()),
                "weights": renamed(convert_ldm_vae_checkpoint(dict(tensors), vae.config), vae, tensors, owners)},
            "text_encoder": {
                "config": {key: getattr(text_config, key) for key in (
                    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act",
                    "vocab_size", "max_position_embeddings", "bos_token_id", "eos_token_id", "pad_token_id")} | {
                        "projection_dim": WIDTH},
                "weights": renamed(texts, text, tensors, owners, strip="text_model.")},
        }
        used = {origin[0] for part in parts.values() for origin in part["weights"].values()}
        parts["others"] = {name: list(tensor.shape) for name, tensor in tensors.items() if name not in used}
        result[name] = parts
    # A weight is one line.
    PLACE.write_text(compact(result) + "\n")


def compact(value, depth=0):
    if isinstance(value, dict) and value and any(isinstance(item, (dict, list)) for item in value.values()):
        inner = ",\n".join(f"{json.dumps(key)}: {compact(item, depth + 1)}" for key, item in sorted(value.items()))
        return "{\n" + inner + "\n}"
    return json.dumps(value)


if __name__ == "__main__":
    main()
