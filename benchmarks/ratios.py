"""Sets the timings of Lethe beside those of diffusers: ratios.py LETHE.json DIFFUSERS.json"""

import json
import sys

lethe, peer = (json.load(open(path)) for path in sys.argv[1:3])


def rows(result):
    for batch, seconds in sorted(result["seconds_per_image"].items(), key=lambda item: int(item[0])):
        yield f"seconds per image, batch {batch}", seconds
    yield f"seconds per training step, batch {result['training_batch']}", result["seconds_per_training_step"]
    yield "seconds per Fisher sample", result["seconds_per_fisher_sample"]


theirs = dict(rows(peer))
print(f"{'':40}{'Lethe':>10}{'diffusers':>12}{'faster':>10}")
for name, ours in rows(lethe):
    other = theirs.get(name)
    ratio = f"{other:12.4f}{other / ours:9.2f}x" if other is not None else f"{'-':>12}{'-':>10}"
    print(f"{name:40}{ours:10.4f}{ratio}")
print(f"\n{lethe['steps']} DDIM steps, guidance scale {lethe['guidance_scale']}, {lethe['threads']} threads")
different = [key for key in ("steps", "guidance_scale", "unet_parameters", "threads")
             if lethe.get(key) != peer.get(key)]
for key in different:
    print(f"not the same work: {key} is {lethe.get(key)} in Lethe and {peer.get(key)} in diffusers")
sys.exit(1 if different else 0)
