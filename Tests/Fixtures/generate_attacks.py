"""Writes attacks.safetensors: one iteration of UnlearnDiffAtk and one of P4D as PyTorch computes them.

The base model is tiny-diffusers; the attacked one is the same with every cross-attention value projection halved. The
attack's tokens stand right behind the begin token of PROMPT, and special tokens are no candidates. Names: see
README.md. Everything is drawn from a fixed seed, on one thread. Usage: python generate_attacks.py  (needs torch,
diffusers, transformers, safetensors; reads what generate_diffusers.py wrote and writes beside itself).
"""

from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTokenizer

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "tiny-diffusers"
PROMPT = "a red star"
COUNT = 3
TIMESTEP = 310


def attacked_copy():
    unet = UNet2DConditionModel.from_pretrained(FOLDER / "unet")
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if name.endswith("attn2.to_v.weight"):
                parameter.mul_(0.5)
    return unet


def projected(rows):
    """The nearest points of the simplex, by sorting (Held, Wolfe and Crowder, 1974) and not by bisection."""
    ordered = rows.double().sort(dim=1, descending=True).values
    thresholds = (ordered.cumsum(1) - 1) / torch.arange(1, rows.shape[1] + 1)
    kept = (ordered > thresholds).sum(1, keepdim=True)
    return (rows - thresholds.gather(1, kept - 1)).clamp(min=0).float()


def main():
    torch.set_num_threads(1)
    draw = torch.Generator().manual_seed(11)
    tokenizer = CLIPTokenizer.from_pretrained(FOLDER / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(FOLDER / "text_encoder").eval()
    base, attacked = UNet2DConditionModel.from_pretrained(FOLDER / "unet").eval(), attacked_copy().eval()
    scheduler = DDIMScheduler.from_pretrained(FOLDER / "scheduler")
    table = encoder.get_input_embeddings().weight.detach()
    length, end = tokenizer.model_max_length, tokenizer.eos_token_id
    special = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    candidates = table[[token for token in range(len(table)) if token not in special]]
    text = tokenizer(PROMPT, add_special_tokens=False).input_ids

    def states(embeddings):
        """Hidden states of the prompt with these embeddings, (COUNT, width), behind its begin token."""
        ids = [tokenizer.bos_token_id] + [end] * COUNT + text
        ids = torch.tensor([ids + [end] * (length - len(ids))])
        rows = torch.cat([table[ids[0, :1]], embeddings, table[ids[0, 1 + COUNT :]]])[None]
        hook = encoder.get_input_embeddings().register_forward_hook(lambda module, arguments, output: rows)
        hidden = encoder(ids).last_hidden_state
        hook.remove()
        return hidden

    clean = torch.randn(1, 4, 8, 8, generator=draw)
    noise = torch.randn(1, 4, 8, 8, generator=draw)
    timestep = torch.tensor([TIMESTEP])
    noisy = scheduler.add_noise(clean, noise, timestep)
    tensors = {"latent": noisy, "noise": noise, "timestep": timestep}

    drawn = torch.randint(len(candidates), (COUNT,), generator=draw)
    one_hot = torch.nn.functional.one_hot(drawn, len(candidates)).float().requires_grad_()
    loss = torch.nn.functional.mse_loss(attacked(noisy, timestep, states(one_hot @ candidates)).sample, noise)
    loss.backward()
    tensors |= {"unlearn_diff.drawn": drawn, "unlearn_diff.loss": loss.reshape(1),
                "unlearn_diff.gradient": one_hot.grad}
    start = torch.rand(COUNT, len(candidates), generator=draw)
    start = start / start.sum(1, keepdim=True)
    # Large enough that some elements are limited.
    scale = 3 / one_hot.grad.abs().max()
    probabilities = torch.nn.Parameter(start.clone())
    optimiser = torch.optim.Adam([probabilities], lr=0.01, weight_decay=0.1)
    for _ in range(3):
        probabilities.grad = (scale * one_hot.grad).clamp(-1, 1)
        optimiser.step()
        probabilities.data = projected(probabilities.data)
    tensors |= {"unlearn_diff.start": start, "unlearn_diff.scale": scale.reshape(1),
                "unlearn_diff.stepped": probabilities.detach()}

    vectors = candidates[torch.randint(len(candidates), (COUNT,), generator=draw)]
    vectors = vectors + 0.5 * torch.randn(vectors.shape, generator=draw)
    nearest = torch.nn.functional.cosine_similarity(vectors[:, None], candidates[None], dim=-1).argmax(1)
    embeddings = candidates[nearest].clone().requires_grad_()
    with torch.no_grad():
        target = base(noisy, timestep, encoder(torch.tensor([tokenizer(
            PROMPT, padding="max_length", max_length=length).input_ids])).last_hidden_state).sample
    loss = torch.nn.functional.mse_loss(attacked(noisy, timestep, states(embeddings)).sample, target)
    loss.backward()
    tensors |= {"p4d.vectors": vectors, "p4d.nearest": nearest, "p4d.target": target, "p4d.loss": loss.reshape(1),
                "p4d.gradient": embeddings.grad @ candidates.T}
    save_file({name: tensor.detach().float().clone().contiguous() for name, tensor in tensors.items()},
              HERE / "attacks.safetensors")
    for name, tensor in tensors.items():
        print(name, tuple(tensor.shape), float(tensor.detach().float().abs().max()))


if __name__ == "__main__":
    main()
