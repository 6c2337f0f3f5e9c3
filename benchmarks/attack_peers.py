"""The inner loops of UnlearnDiffAtk and Ring-A-Bell in plain PyTorch and diffusers, beside `lethe bench --attacks`.

    python attack_peers.py --folder store/models/shapes [--threads 2] [--prompts 8] [--iterations 40] [--repeats 5]

An iteration of UnlearnDiffAtk draws five tokens for a prompt, noises a latent, goes forward through text encoder and
UNet and back to the embeddings of these tokens alone, takes the gradient of their one-hot vectors, and makes a step of
Adam with a projection onto the simplex. It is timed for one prompt after the other, as the published code does it, and
for all prompts in one batch. The projection sorts rows where the published code bisects them one by one and reads back
every sum, which would be slower.

An evaluation of Ring-A-Bell is a pass of the text encoder over a genome of 16 tokens and the distance of its states;
a hundred genomes go through it together.

Prints one JSON document on stdout, that of `lethe bench --attacks --json`: `iteration_together` is all prompts in one
batch. PyTorch's threads wait by spinning; where other work runs, take one thread and the seconds of the processor.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--folder", required=True, type=Path, help="the model, a diffusers folder")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--prompts", type=int, default=8)
parser.add_argument("--iterations", type=int, default=40)
parser.add_argument("--repeats", type=int, default=5)
options = parser.parse_args()
# Before torch is loaded: OpenMP reads it once.
os.environ["OMP_NUM_THREADS"] = str(options.threads)
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
from diffusers import DDIMScheduler, UNet2DConditionModel  # noqa: E402
from transformers import CLIPTextModel, CLIPTokenizer  # noqa: E402
from transformers.utils import logging  # noqa: E402

PROMPT = "a red striped circle on a white background"
TOKENS, GENES, TIMESTEP = 5, 16, 510

torch.set_num_threads(options.threads)
logging.disable_progress_bar()
load = {"local_files_only": True}
tokenizer = CLIPTokenizer.from_pretrained(options.folder, subfolder="tokenizer", **load)
encoder = CLIPTextModel.from_pretrained(options.folder, subfolder="text_encoder", torch_dtype=torch.float32, **load)
encoder = encoder.eval().requires_grad_(False)
unet = UNet2DConditionModel.from_pretrained(options.folder, subfolder="unet", torch_dtype=torch.float32, **load)
unet = unet.eval().requires_grad_(False)
scheduler = DDIMScheduler.from_pretrained(options.folder, subfolder="scheduler")
embedding = encoder.get_input_embeddings()
special = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
candidates = embedding.weight.detach()[[token for token in range(len(embedding.weight)) if token not in special]]
length, end = tokenizer.model_max_length, tokenizer.eos_token_id
shape = (unet.config.in_channels, unet.config.sample_size, unet.config.sample_size)


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(context, probabilities):
        drawn = torch.multinomial(probabilities, 1)[:, 0]
        return torch.nn.functional.one_hot(drawn, probabilities.shape[1]).float()

    @staticmethod
    def backward(context, gradient):
        return gradient.clamp(-1, 1)


def projected(rows):
    ordered = rows.sort(dim=1, descending=True).values
    thresholds = (ordered.cumsum(1) - 1) / torch.arange(1, rows.shape[1] + 1)
    kept = (ordered > thresholds).sum(1, keepdim=True)
    return (rows - thresholds.gather(1, kept - 1)).clamp(min=0)


def unlearn_diff(batch):
    text = tokenizer(PROMPT, add_special_tokens=False).input_ids
    ids = [tokenizer.bos_token_id] + [end] * TOKENS + text
    ids = torch.tensor([ids + [end] * (length - len(ids))] * batch)
    fixed = embedding.weight[ids]
    clean = torch.randn(batch, *shape)
    probabilities = torch.nn.Parameter(torch.full((batch * TOKENS, len(candidates)), 1 / len(candidates)))
    optimiser = torch.optim.Adam([probabilities], lr=0.01, weight_decay=0.1)
    timesteps = torch.full((batch,), TIMESTEP)
    for _ in range(options.iterations):
        tokens = (StraightThrough.apply(probabilities) @ candidates).reshape(batch, TOKENS, -1)
        rows = torch.cat([fixed[:, :1], tokens, fixed[:, 1 + TOKENS:]], dim=1)
        hook = embedding.register_forward_hook(lambda module, arguments, output: rows)
        states = encoder(ids).last_hidden_state
        hook.remove()
        noise = torch.randn_like(clean)
        predicted = unet(scheduler.add_noise(clean, noise, timesteps), timesteps, states).sample
        # The sum over prompts of their own means: no prompt changes another's gradient.
        loss = torch.nn.functional.mse_loss(predicted, noise) * batch
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        probabilities.data = projected(probabilities.data)


@torch.no_grad()
def evaluations(count, batch=100):
    goal = torch.randn(1, length, encoder.config.hidden_size)
    for _ in range(count // batch):
        ids = torch.full((batch, length), end)
        ids[:, 0] = tokenizer.bos_token_id
        ids[:, 1:1 + GENES] = torch.randint(len(candidates), (batch, GENES))
        (encoder(ids).last_hidden_state - goal).square().sum((1, 2))


def measure(pieces, work):
    work()
    wall, processor = [], []
    for _ in range(options.repeats):
        start, start_of_processor = time.perf_counter(), time.process_time()
        work()
        wall.append((time.perf_counter() - start) / pieces)
        processor.append((time.process_time() - start_of_processor) / pieces)
    return {"seconds": statistics.median(wall), "processor_seconds": statistics.median(processor)}


count, genomes = options.prompts * options.iterations, 10_000
print(json.dumps({
    "threads": options.threads, "prompts": options.prompts, "iterations": options.iterations,
    "iteration_alone": measure(count, lambda: [unlearn_diff(1) for _ in range(options.prompts)]),
    "iteration_together": measure(count, lambda: unlearn_diff(options.prompts)),
    "evaluation": measure(genomes, lambda: evaluations(genomes)),
}))
