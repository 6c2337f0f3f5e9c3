"""Times techniques in Lethe and in plain PyTorch, one after the other, and shows that both do the same work.

    python technique_ratios.py --lethe .build/release/lethe [--steps 20] [--rounds 1] [--repeats 3]
        [esd p_esd cad_erase]

For each technique: `lethe run` of experiments/techniques/NAME.json into a store of its own, whose record has the
seconds of the estimate and of the edit, and the settings with every default filled in; with these, technique_peers.py
twice: the samples of an iteration together, and one by one as in the published scripts. PyTorch gets as many threads as
the record says that Lethe had. --steps and --rounds shorten a trial; without them the experiment's own numbers hold.
OPENBLAS_CORETYPE in the environment decides which kernels Lethe runs; without it Lethe chooses.

The second table says whether the work is the same. Noise and prompts are drawn otherwise in PyTorch, so that figures
agree as those of two seeds do. The passes are PyTorch's as counted; beside them stands how many there should be on
average.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("techniques", nargs="*", default=["esd", "p_esd", "cad_erase"], metavar="TECHNIQUE")
parser.add_argument("--lethe", required=True, type=Path, help="the program")
parser.add_argument("--steps", type=int, help="iterations of esd and p_esd; default: those of the experiment")
parser.add_argument("--rounds", type=int, help="rounds of cad_erase for each prompt; default: those of the experiment")
parser.add_argument("--repeats", type=int, default=1, help="times that everything is run; medians are shown")
options = parser.parse_args()
experiments = Path(__file__).resolve().parent.parent / "experiments" / "techniques"
peers = Path(__file__).resolve().parent / "technique_peers.py"


def lethe(*arguments, **options_of_run):
    result = subprocess.run([str(part) for part in (options.lethe.resolve(), *arguments)], text=True, **options_of_run)
    if result.returncode != 0:
        sys.stderr.write(result.stderr or "")
        sys.exit(f"lethe {arguments[0]} failed with status {result.returncode}")
    return result


def in_lethe(technique, folder):
    """The record of a run into a new store, its seconds, and the losses that it showed, by their place in percent."""
    (folder / "overlay.json").write_text(json.dumps({"metrics": [{"name": "clip_score", "config": {"limit": 1}}]}))
    shortened = {"train_steps": options.steps} if technique != "cad_erase" else {"n_est": options.rounds}
    settings = [part for key, value in shortened.items() if value
                for part in ("--set", f"technique.config.{key}={value}")]
    run = lethe("run", experiments / f"{technique}.json", "--seeds", 0, "--overlay", folder / "overlay.json",
                "--store", folder / "store", "--json", *settings, capture_output=True)
    run_id = json.loads(run.stdout)["runs"][0]["run_id"]
    record = json.loads(
        lethe("show", run_id, "--store", folder / "store", "--json", capture_output=True).stdout)["record"]
    stages = [stage for stage in record["stages"] if stage["name"] not in ("base", "images")
              and not stage["name"].startswith("metric.")]
    losses = [(int(percent), float(loss)) for percent, loss in re.findall(r"(\d+) %, loss ([-+.e\d]+)", run.stderr)]
    return record, {stage["name"]: stage["seconds"] for stage in stages}, losses


def in_pytorch(record, folder, *flags):
    (folder / "experiment.json").write_text(json.dumps(record["experiment"]))
    base = next(stage for stage in record["stages"] if stage["name"] == "base")["details"]["folder"]
    command = [sys.executable, str(peers), "--experiment", str(folder / "experiment.json"), "--folder", base,
               "--threads", str(record["environment"]["threads"]), *flags]
    return json.loads(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout)


def expected_passes(config):
    """Mean numbers of latents that go through UNets, and of those with a gradient."""
    if "attribution_steps" in config:
        steps = config["attribution_steps"]
        samples, others = len(config["prompts"] or [0]) * config["n_est"] * steps, 1
    else:
        steps = config["num_inference_steps"]
        samples, others = config["train_steps"] * config["batch_size"], 2
    return samples * (2 * (steps - 1) / 2 + others + 1), samples


def show(header, rows, names):
    """A table whose first columns, `names` of them, are text."""
    widths = [max(len(str(row[column])) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        print("  ".join(str(cell).ljust(width) if column < names else str(cell).rjust(width)
                        for column, (cell, width) in enumerate(zip(row, widths))))
    print()


times, work, stages = [], [], []
for technique in options.techniques:
    ours, together, alone = [], [], []
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as scratch:
            print(f"{technique}: Lethe ...", file=sys.stderr)
            record, seconds, shown = in_lethe(technique, Path(scratch))
            ours.append(sum(seconds.values()))
            print(f"{technique}: PyTorch ...", file=sys.stderr)
            peer = in_pytorch(record, Path(scratch))
            together.append(peer["seconds"])
            alone.append(in_pytorch(record, Path(scratch), "--one-by-one")["seconds"])
    mine, environment = statistics.median(ours), record["environment"]
    compared = [cell for theirs in map(statistics.median, (together, alone))
                for cell in (f"{theirs:.2f}", f"{theirs / mine:.2f}x")]
    times.append([technique, f"{mine:.2f}", *compared, environment["threads"], environment["blas_core"]])
    stages.append(f"{technique}: " + ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items()))

    config = record["experiment"]["technique"]["config"]
    for name, expected in zip(("forward", "backward"), expected_passes(config)):
        work.append([technique, f"{name} passes (expected; counted)", f"{expected:.0f}", peer[name]])
    for percent, loss in shown[:1] + shown[1:][-1:]:
        iteration = max(1, min(len(peer["losses"]), round(percent / 100 * len(peer["losses"]))))
        work.append([technique, f"loss at {percent} %", f"{loss:.4g}", f"{peer['losses'][iteration - 1]:.4g}"])
    details = next(stage for stage in record["stages"] if stage["name"] == "edit")["details"]
    for name, value in peer["figures"].items():
        work.append([technique, name, f"{details[name]:.6g}", f"{value:.6g}"])

show(["technique", "Lethe", "PyTorch", "faster", "one by one", "faster", "threads", "BLAS kernels"], times, names=1)
show(["technique", "figure", "Lethe", "PyTorch"], work, names=2)
print("seconds; of Lethe those of", "; ".join(stages))
print(f"PyTorch {peer['torch']}; OPENBLAS_CORETYPE is {os.environ.get('OPENBLAS_CORETYPE', 'not set')}")
