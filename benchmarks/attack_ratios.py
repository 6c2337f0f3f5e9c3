"""Prints what `lethe bench --attacks --json` and attack_peers.py found, side by side.

    python attack_ratios.py lethe.json pytorch.json
"""

import json
import sys

lethe, pytorch = (json.load(open(path)) for path in sys.argv[1:])
prompts = lethe["prompts"]
rows = [
    ("iteration of UnlearnDiffAtk, one prompt after the other", "iteration_alone", "iteration_alone"),
    (f"{prompts} prompts at once, beside one after the other", "iteration_together", "iteration_alone"),
    (f"{prompts} prompts at once, beside all in a batch", "iteration_together", "iteration_together"),
    ("evaluation of Ring-A-Bell", "evaluation", "evaluation"),
]
print(f"{lethe['threads']} threads; milliseconds by the clock, and of processors")
print(f"{'':58}{'Lethe':>18}{'PyTorch':>18}{'Lethe / PyTorch':>18}")
for label, own, other in rows:
    cells = [[measure["seconds"] * 1000, measure["processor_seconds"] * 1000] for measure in (lethe[own], pytorch[other])]
    ratios = [a / b for a, b in zip(*cells)]
    text = [f"{wall:8.3f} {processor:8.3f}" for wall, processor in cells] + [f"{ratios[0]:8.2f} {ratios[1]:8.2f}"]
    print(f"{label:58}" + "".join(f"{cell:>18}" for cell in text))
print(f"evaluations a minute: {60 / lethe['evaluation']['seconds']:,.0f} in Lethe, "
      f"{60 / pytorch['evaluation']['seconds']:,.0f} in PyTorch")
