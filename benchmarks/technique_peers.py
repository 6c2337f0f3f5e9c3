"""The loops of ESD, P-ESD and CAD-Erase in plain PyTorch and diffusers, as `make bench-techniques` times them beside
Lethe's.

    python technique_peers.py --experiment experiment.json --folder store/models/shapes [--threads 2] [--one-by-one]

The experiment is one with every default filled in: the member `experiment` of the record that `lethe show RUN --json`
prints. The samples of an iteration (ESD, P-ESD) or of a round over the timesteps (CAD-Erase) go through the UNet
together; with --one-by-one each is drawn alone, as the published scripts do it, and CAD-Erase's gradients are taken one
by one, too.

Prints one JSON document on stdout:

    seconds      the technique alone: texts, trajectories, gradients, steps of the optimiser, choice of what is pruned
    forward      latents that went through the UNet; a guided step of one trajectory is two
    backward     those of them that a gradient was taken of
    losses       of ESD and P-ESD after each iteration: the running mean that `lethe run` shows
    figures      of the edit, by the names that Lethe's record has for them
"""

import argparse
import copy
import json
import os
import random
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--experiment", required=True, type=Path, help="JSON with every default filled in")
parser.add_argument("--folder", required=True, type=Path, help="the base model, a diffusers folder")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--one-by-one", action="store_true", help="every sample alone")
options = parser.parse_args()
# Before torch is loaded: OpenMP reads it once.
os.environ["OMP_NUM_THREADS"] = str(options.threads)
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
from diffusers import DDIMScheduler, UNet2DConditionModel  # noqa: E402
from torch.func import functional_call  # noqa: E402
from torch.nn.functional import mse_loss  # noqa: E402
from transformers import CLIPTextModel, CLIPTokenizer  # noqa: E402
from transformers.utils import logging  # noqa: E402

experiment = json.loads(options.experiment.read_text())
config = experiment["technique"]["config"]


class Model:
    def __init__(self, folder, steps):
        logging.disable_progress_bar()
        load = {"local_files_only": True}
        self.tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer", **load)
        self.text_encoder = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", **load).eval()
        self.unet = UNet2DConditionModel.from_pretrained(
            folder, subfolder="unet", torch_dtype=torch.float32, **load).eval().requires_grad_(False)
        self.scheduler = DDIMScheduler.from_pretrained(folder, subfolder="scheduler")
        self.scheduler.set_timesteps(steps)
        self.shape = (self.unet.config.in_channels, self.unet.config.sample_size, self.unet.config.sample_size)

    @torch.no_grad()
    def states(self, prompts):
        ids = self.tokenizer(prompts, padding="max_length", truncation=True,
                             max_length=self.tokenizer.model_max_length, return_tensors="pt").input_ids
        return self.text_encoder(ids)[0]

    def timesteps(self, steps):
        """Those of the step that comes next."""
        return self.scheduler.timesteps[torch.tensor(steps)]

    @torch.no_grad()
    def points(self, unet, states, empty, steps, guidance):
        """Latents of trajectories after `steps[i]` guided DDIM steps each; those that are not there yet go on
        together."""
        if options.one_by_one and len(steps) > 1:
            return torch.cat([self.points(unet, states[i:i + 1], empty, steps[i:i + 1], guidance)
                              for i in range(len(steps))])
        latents = torch.randn(len(steps), *self.shape)
        wanted = torch.tensor(steps)
        for step in range(max(steps)):
            on = wanted > step
            latent, timestep = latents[on], self.scheduler.timesteps[step]
            text = torch.cat([empty.expand(len(latent), -1, -1), states[on]])
            unconditional, conditional = unet(torch.cat([latent, latent]), timestep, text).sample.chunk(2)
            guided = unconditional + guidance * (conditional - unconditional)
            latents[on] = self.scheduler.step(guided, timestep, latent).prev_sample
        return latents


def count_passes(unet):
    """Counts the latents that go through a UNet and the copies made of it, and those of them with a gradient."""
    passes = {"forward": 0, "backward": 0}

    def count(_, arguments, output):
        passes["forward"] += len(arguments[0])
        passes["backward"] += len(arguments[0]) if output.sample.requires_grad else 0

    unet.register_forward_hook(count)
    return passes


def all_but_cross_attention(name):
    """ESD's group noxattn."""
    return "attn2" not in name and not name.startswith(("time_embedding.", "conv_out."))


def of_linear_or_convolution(name):
    return not any(part.startswith("norm") or part == "conv_norm_out" for part in name.split("."))


def running_mean(losses, loss):
    losses.append(0.9 * losses[-1] + 0.1 * loss if losses else loss)


def refuse_unless(**expected):
    for name, value in expected.items():
        if config[name] != value:
            sys.exit(f"{options.experiment}: {name} is {config[name]!r}, and this loop knows only {value!r}")


def train(model, trained, optimiser):
    """ESD's loop; `trained` gives the UNet of an iteration, on the tape of what the optimiser steps. Returns the
    losses."""
    refuse_unless(erase_from=None, timestep_pairing="next", train_method="noxattn")
    prompts = config["erase_prompts"] or [config["erase_concept"]] + (config["erase_concepts"] or [])
    texts, empty = model.states(prompts), model.states([""])
    batch, eta, losses = config["batch_size"], config["negative_guidance"], []
    for _ in range(config["train_steps"]):
        unet = trained()
        chosen = texts[torch.randint(len(prompts), (batch,))]
        steps = [random.randrange(config["num_inference_steps"]) for _ in range(batch)]
        sampled = model.unet if config["sampled_model"] == "frozen" else unet
        latents, timesteps = (
            model.points(sampled, chosen, empty, steps, config["start_guidance"]), model.timesteps(steps))
        with torch.no_grad():
            unconditional, conditional = model.unet(
                torch.cat([latents, latents]), torch.cat([timesteps, timesteps]),
                torch.cat([empty.expand(batch, -1, -1), chosen])).sample.chunk(2)
            start = conditional if config["target_form"] == "2025" else unconditional
            target = start - eta * (conditional - unconditional)
        loss = mse_loss(unet(latents, timesteps, chosen).sample, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        running_mean(losses, loss.item())
    return losses


def esd(model):
    # The copy is counted, too: it has the same hook.
    unet = copy.deepcopy(model.unet)
    learning = {name: weight.requires_grad_() for name, weight in unet.named_parameters()
                if all_but_cross_attention(name)}
    losses = train(model, lambda: unet, torch.optim.Adam(learning.values(), lr=config["learning_rate"]))
    base = dict(model.unet.named_parameters())
    change = sum((weight.detach() - base[name]).square().sum() for name, weight in learning.items()).sqrt()
    size = sum(base[name].square().sum() for name in learning).sqrt()
    return losses, {"trained_parameters": sum(weight.numel() for weight in learning.values()),
                    "relative_change": float(change / size)}


def p_esd(model):
    base = dict(model.unet.named_parameters())
    names = [name for name in base if all_but_cross_attention(name) and of_linear_or_convolution(name)]
    masks = {name: torch.full_like(base[name], config["mask_init"]).requires_grad_() for name in names}
    temperature = config["temperature"]

    def masked():
        weights = {name: base[name] * torch.sigmoid(temperature * masks[name]) for name in names}
        return lambda *arguments: functional_call(model.unet, weights, arguments)

    losses = train(model, masked, torch.optim.AdamW(
        masks.values(), lr=config["learning_rate"], eps=config["epsilon"], weight_decay=config["weight_decay"]))
    pruned = sum(int((torch.sigmoid(temperature * mask) <= config["threshold"]).sum()) for mask in masks.values())
    maskable = sum(mask.numel() for mask in masks.values())
    return losses, {"maskable_elements": maskable, "prune_ratio": pruned / maskable}


def cad_erase(model):
    refuse_unless(objective="guidance", timestep_pairing="next", modules=["attn2"], flatten=False, ablate_zero=False)
    prompts = config["prompts"] or [config["erase_concept"]]
    empty, base_states = model.states([""]), model.states([config["base_prompt"]])
    weights = {name: weight.requires_grad_() for name, weight in model.unet.named_parameters() if weight.dim() >= 2}
    steps, samples = list(range(config["attribution_steps"])), 0
    for prompt in prompts:
        states = model.states([prompt])
        for _ in range(config["n_est"]):
            for part in [[step] for step in steps] if options.one_by_one else [steps]:
                many, timesteps = states.expand(len(part), -1, -1), model.timesteps(part)
                latents = model.points(model.unet, many, empty, part, config["start_guidance"])
                with torch.no_grad():
                    target = model.unet(latents, timesteps, base_states.expand(len(part), -1, -1)).sample
                (model.unet(latents, timesteps, many).sample - target).square().sum().backward()
                samples += len(part)
    ablated, attribution_ablated = 0, 0.0
    for name, weight in weights.items():
        if "attn2" in name:
            attribution = (weight.detach() * weight.grad / samples).flatten(1)
            top = attribution.topk(int(config["ablate_ratio"] * attribution.shape[1]), dim=1).values
            ablated += int((top > 0).sum())
            attribution_ablated += float(top.clamp(min=0).double().sum())
    return [], {"ablated": ablated, "attribution_ablated": attribution_ablated}


def main():
    torch.set_num_threads(options.threads)
    torch.manual_seed(experiment["seed"])
    random.seed(experiment["seed"])
    name = experiment["technique"]["name"]
    loops = {"esd": esd, "p_esd": p_esd, "cad_erase": cad_erase}
    if name not in loops:
        sys.exit(f"{options.experiment}: the technique is {name}; there are loops of {', '.join(loops)}")
    model = Model(options.folder, config["attribution_steps"] if name == "cad_erase" else config["num_inference_steps"])
    with torch.no_grad():
        # What PyTorch sets up at the first pass is no part of a technique.
        model.unet(torch.zeros(2, *model.shape), 1, model.states(["", ""]))
    passes = count_passes(model.unet)
    started = time.perf_counter()
    losses, figures = loops[name](model)
    seconds = time.perf_counter() - started
    print(json.dumps({"technique": name, "seconds": seconds, **passes, "losses": losses, "figures": figures,
                      "torch": torch.__version__}))


if __name__ == "__main__":
    main()
