"""Writes expected.json: the ids that CLIPTokenizer of transformers gives with the folders beside this script.

    python Tests/Fixtures/tokenizer/generate.py

`shapes` is the vocabulary of the drawn world as Lethe writes it; `padded` is made from it here, with a padding token
of its own and room for 12 ids, as Stable Diffusion 2 has; `single-file` has tokenizer.json alone, as newer versions
of transformers save it.
"""

import json
import pathlib
import random
import shutil

import transformers
from transformers import CLIPTokenizer

here = pathlib.Path(__file__).parent


def variants():
    padded = here / "padded"
    shutil.rmtree(padded, ignore_errors=True)
    shutil.copytree(here / "shapes", padded)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        values = json.loads((padded / name).read_text())
        values["pad_token"] = "!"
        if name == "tokenizer_config.json":
            values["model_max_length"] = 12
        (padded / name).write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")
    single = here / "single-file"
    shutil.rmtree(single, ignore_errors=True)
    CLIPTokenizer.from_pretrained(here / "shapes").save_pretrained(single)


def texts():
    yield from [
        "", " ", "a red striped circle on a white background", "A Stamped  BLUE\tdotted\nstar", "circlet", "redder",
        "it's, isn't it? we'd they'll I'm you've they're", "'s 'S 't'", "''s !'s", "12 345 ½ Ⅷ ²", "x1y2",
        "!!!", "!?.,;:-_#@", "a-b_c", "(a) [b] {c}", "<|endoftext|>", "a <|endoftext|> b", "a<|startoftext|>b",
        "<|EndOfText|> circle", "<|StartOfText|> circle", "circle<|STARTOFTEXT|>ring!", "<|endoftext|", "< |endoftext| >", "ünïcode ÀÉÎ straße", "e\u0301 vs \u00e9", "İstanbul",
        "ΟΔΥΣΣΕΥΣ", "猫と犬", "Привет мир", "😀 circle 👩‍👩‍👧", "\u00a0nbsp\u2003em\u200bzero\u0085nel", "a\u0000b", "ﬁne ﬂag",
        "안녕하세요", "हिन्दी", "ไทย", "\ufeffbom", "a" * 50, " ".join(["circle"] * 40), "in the style of rayo by punto",
    ]
    dice = random.Random(7)
    alphabet = "abcdefgxyz  '!?12.-éÜß猫<|>\t" + "stamped circle"
    for _ in range(120):
        yield "".join(dice.choice(alphabet) for _ in range(dice.randint(1, 24)))


variants()
expected = {"transformers": transformers.__version__, "cases": {}}
for folder in ("shapes", "padded", "single-file"):
    tokenizer = CLIPTokenizer.from_pretrained(here / folder)
    expected["cases"][folder] = [
        {"text": text, "ids": tokenizer(text, padding="max_length", truncation=True).input_ids} for text in texts()
    ]
lines = json.dumps(expected, ensure_ascii=True, separators=(",", ":")).replace('{"text"', '\n{"text"')
(here / "expected.json").write_text(lines + "\n")
