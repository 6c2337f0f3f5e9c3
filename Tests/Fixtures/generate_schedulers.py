"""Writes schedulers.safetensors and schedulers.json: runs of the schedulers of diffusers over a model that is no model.

    python generate_schedulers.py

The prediction of an artificial model at step i, for the input that the scheduler makes of the sample, is
0.6 x input + 0.3 x drawn[i % 8] + 0.1: affine in the sample, and new at every step, so that a solver with a history
shows it. Noise that a step adds is drawn[(i + 3) % 8]. A run of few steps keeps the latents of all of them, a longer one
those of every seventh step and the last.
"""

import json
import pathlib

import numpy as np
import torch
from diffusers import (
    DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, LMSDiscreteScheduler,
    PNDMScheduler)
from diffusers.schedulers import scheduling_ddpm
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent
SHAPE = (1, 2, 2, 2)
STABLE = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
FEW, ALL = [1, 2, 3, 7, 20], [1, 2, 3, 7, 20, 50]

CASES = {
    "ddim": (DDIMScheduler, dict(STABLE, clip_sample=False, set_alpha_to_one=False, steps_offset=1), ALL),
    "ddim-defaults": (DDIMScheduler, {}, FEW),
    "ddim-trailing": (DDIMScheduler, dict(STABLE, timestep_spacing="trailing", clip_sample_range=0.8), ALL),
    "ddim-linspace": (DDIMScheduler, dict(STABLE, timestep_spacing="linspace", clip_sample=False), FEW),
    "ddim-v": (DDIMScheduler, dict(STABLE, clip_sample=False, set_alpha_to_one=False, steps_offset=1,
                                   prediction_type="v_prediction"), ALL),
    "ddim-v-zero": (DDIMScheduler, dict(STABLE, clip_sample=False, prediction_type="v_prediction",
                                        rescale_betas_zero_snr=True, timestep_spacing="trailing"), ALL),
    "ddim-sample": (DDIMScheduler, dict(beta_schedule="squaredcos_cap_v2", prediction_type="sample"), FEW),
    "ddim-eta": (DDIMScheduler, dict(STABLE, clip_sample=False, set_alpha_to_one=False, steps_offset=1), FEW),
    "pndm": (PNDMScheduler, dict(STABLE, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1), ALL),
    "pndm-one": (PNDMScheduler, dict(STABLE, skip_prk_steps=True, set_alpha_to_one=True), FEW),
    "pndm-trailing": (PNDMScheduler, dict(skip_prk_steps=True, timestep_spacing="trailing"), FEW),
    "pndm-linspace-v": (PNDMScheduler, dict(STABLE, skip_prk_steps=True, timestep_spacing="linspace",
                                            prediction_type="v_prediction"), FEW),
    "pndm-prk": (PNDMScheduler, dict(STABLE), [4, 5, 7, 20, 50]),
    "pndm-prk-v": (PNDMScheduler, dict(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction"), [4, 20]),
    "lms": (LMSDiscreteScheduler, dict(STABLE), ALL),
    "lms-leading": (LMSDiscreteScheduler, dict(timestep_spacing="leading", steps_offset=1), FEW),
    "lms-trailing-v": (LMSDiscreteScheduler, dict(STABLE, timestep_spacing="trailing", prediction_type="v_prediction"),
                       FEW),
    "lms-karras": (LMSDiscreteScheduler, dict(STABLE, use_karras_sigmas=True), ALL),
    "lms-sample": (LMSDiscreteScheduler, dict(STABLE, prediction_type="sample"), FEW),
    "dpm": (DPMSolverMultistepScheduler, dict(STABLE), ALL),
    "dpm-first": (DPMSolverMultistepScheduler, dict(solver_order=1), FEW),
    "dpm-leading": (DPMSolverMultistepScheduler, dict(STABLE, timestep_spacing="leading", steps_offset=1), FEW),
    "dpm-trailing-v": (DPMSolverMultistepScheduler, dict(STABLE, timestep_spacing="trailing",
                                                         prediction_type="v_prediction"), FEW),
    "dpm-karras": (DPMSolverMultistepScheduler, dict(STABLE, use_karras_sigmas=True), ALL),
    "dpm-min": (DPMSolverMultistepScheduler, dict(STABLE, final_sigmas_type="sigma_min"), [1, 2, 7, 14, 15, 20]),
    "dpm-min-higher": (DPMSolverMultistepScheduler, dict(STABLE, final_sigmas_type="sigma_min",
                                                         lower_order_final=False), FEW),
    "dpm-min-euler": (DPMSolverMultistepScheduler, dict(STABLE, final_sigmas_type="sigma_min", lower_order_final=False,
                                                        euler_at_final=True), FEW),
    "dpm-cosine-sample": (DPMSolverMultistepScheduler, dict(beta_schedule="squaredcos_cap_v2", lambda_min_clipped=-5.1,
                                                            prediction_type="sample"), FEW),
    "dpm-cosine-karras": (DPMSolverMultistepScheduler, dict(beta_schedule="squaredcos_cap_v2", use_karras_sigmas=True,
                                                            prediction_type="v_prediction"), FEW),
    "dpm-v-zero": (DPMSolverMultistepScheduler, dict(STABLE, prediction_type="v_prediction", timestep_spacing="trailing",
                                                     rescale_betas_zero_snr=True), FEW),
    "euler": (EulerDiscreteScheduler, dict(STABLE), ALL),
    "euler-leading": (EulerDiscreteScheduler, dict(STABLE, timestep_spacing="leading", steps_offset=1), ALL),
    "euler-trailing-v": (EulerDiscreteScheduler, dict(timestep_spacing="trailing", prediction_type="v_prediction"), FEW),
    "euler-karras": (EulerDiscreteScheduler, dict(STABLE, use_karras_sigmas=True, final_sigmas_type="sigma_min"), FEW),
    "euler-sample": (EulerDiscreteScheduler, dict(STABLE, prediction_type="sample"), FEW),
    "euler-v-zero": (EulerDiscreteScheduler, dict(STABLE, prediction_type="v_prediction", timestep_spacing="trailing",
                                                  rescale_betas_zero_snr=True), FEW),
    "ddpm": (DDPMScheduler, dict(STABLE, clip_sample=False, steps_offset=1), ALL),
    "ddpm-defaults": (DDPMScheduler, {}, FEW),
    "ddpm-trailing-v": (DDPMScheduler, dict(STABLE, timestep_spacing="trailing", prediction_type="v_prediction",
                                            variance_type="fixed_large"), FEW),
    "ddpm-sample": (DDPMScheduler, dict(beta_schedule="squaredcos_cap_v2", prediction_type="sample",
                                        timestep_spacing="linspace", variance_type="fixed_small_log"), FEW),
}


def predict(model_input, drawn, step):
    return 0.6 * model_input + 0.3 * drawn[step % 8] + 0.1


def run(name, scheduler, steps, start, drawn):
    scheduler.set_timesteps(steps)
    if name == "dpm-cosine-karras":
        # Its first two timesteps round to the same one, which diffusers would otherwise begin at the second of.
        scheduler.set_begin_index(0)
    noises = []
    scheduling_ddpm.randn_tensor = lambda *_, **__: noises.pop()
    latents = start * scheduler.init_noise_sigma
    kept = []
    count = len(scheduler.timesteps)
    for step, timestep in enumerate(scheduler.timesteps):
        model_input = scheduler.scale_model_input(latents, timestep)
        noises[:] = [drawn[(step + 3) % 8]]
        more = dict(eta=0.7, variance_noise=noises[0]) if name == "ddim-eta" else {}
        latents = scheduler.step(predict(model_input, drawn, step), timestep, latents, **more).prev_sample
        if steps <= 7 or step % 7 == 6 or step == count - 1:
            kept.append(latents.numpy().reshape(-1))
    return np.stack(kept).astype(np.float32)


def inversion(config, steps, start, drawn):
    """Every step of DDIM solved for the sample that it came from, given the prediction."""
    scheduler = DDIMScheduler(**config)
    scheduler.set_timesteps(steps)
    latents, kept = start.double(), []
    for step, timestep in enumerate(reversed(scheduler.timesteps.tolist())):
        output = predict(latents, drawn.double(), step)
        before = timestep - 1000 // steps
        low = (scheduler.alphas_cumprod[before] if before >= 0 else scheduler.final_alpha_cumprod).double()
        high = scheduler.alphas_cumprod[timestep].double()
        if config.get("prediction_type") == "v_prediction":
            clean, noise = low**0.5 * latents - (1 - low)**0.5 * output, low**0.5 * output + (1 - low)**0.5 * latents
        else:
            clean, noise = (latents - (1 - low)**0.5 * output) / low**0.5, output
        latents = high**0.5 * clean + (1 - high)**0.5 * noise
        # A step of diffusers with the same implied noise leads back.
        model = high**0.5 * noise - (1 - high)**0.5 * clean if "prediction_type" in config else noise
        assert (scheduler.step(model.float(), timestep, latents.float()).prev_sample
                - (low**0.5 * clean + (1 - low)**0.5 * noise)).abs().max() < 1e-4
        kept.append(latents.numpy().reshape(-1))
    return np.stack(kept).astype(np.float32)


torch.manual_seed(20)
start, drawn = torch.randn(SHAPE), torch.randn(8, *SHAPE[1:])
tensors = {"start": start.numpy(), "drawn": drawn.numpy()}
cases = []
for name, (make, config, counts) in CASES.items():
    made = make(**config)
    written = {key: value for key, value in made.config.items() if value is not None and not key.startswith("_use")}
    if written.get("lambda_min_clipped") == -float("inf"):
        del written["lambda_min_clipped"]
    runs = []
    for steps in counts:
        scheduler = make(**config)
        tensors[f"{name}.{steps}"] = run(name, scheduler, steps, start, drawn)
        runs.append({
            "steps": steps, "timesteps": [float(t) for t in scheduler.timesteps],
            "initial_scale": float(scheduler.init_noise_sigma)})
    case = {"name": name, "config": dict(written, _class_name=make.__name__), "runs": runs}
    cases.append(case)
    tensors[f"{name}.alphas"] = made.alphas_cumprod.numpy()[::111].astype(np.float32)
for name in ("ddim", "ddim-v"):
    for steps in (3, 20):
        tensors[f"{name}.inverse.{steps}"] = inversion(CASES[name][1], steps, start, drawn)
save_file(tensors, here / "schedulers.safetensors")
lines = ",\n".join(json.dumps(case, separators=(",", ":"), sort_keys=True) for case in cases)
(here / "schedulers.json").write_text('{"cases":[\n' + lines + "\n]}\n")
