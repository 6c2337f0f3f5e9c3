"""Writes tokenizer/clip/, a vocabulary of CLIP's form, and tokenizer/strings.jsonl: 10,000 strings and what CLIPTokenizer
of transformers makes of them.

    python generate_tokenizer.py

The merges are learned here, as byte-pair encoding learns them, on words drawn with a fixed seed. A line of strings.jsonl
is [string, FNV-1a of its ids in hexadecimal], where each id counts as its four bytes, the lowest first; the ids are
those of the text alone, however many. The first 300 lines have ids as a third member, as the text encoder gets them: with
begin and end token, cut to 77, and without the repeated end tokens that fill them up.
"""

import collections
import json
import pathlib
import random
import unicodedata

import transformers
from transformers import CLIPTokenizer

here = pathlib.Path(__file__).parent / "tokenizer"
dice = random.Random(20)

WORDS = """a the of and in to with on for by at from photo photograph picture painting portrait drawing sketch style
artist detailed highly sharp focus lighting cinematic digital art trending concept illustration smooth matte render
beautiful young woman man girl boy child people person face eyes hair smiling standing sitting walking holding wearing
dress shirt hat red green blue yellow black white orange purple golden silver bright dark colorful light shadow night
day morning sunset sunrise sky cloud clouds rain snow storm mountain mountains river lake ocean sea beach forest tree
trees flower flowers garden city street house building castle church bridge tower room kitchen table chair window door
car truck bus train airplane boat bicycle motorcycle dog cat horse cow sheep bird fish bear elephant lion tiger zebra
giraffe parachute garbage golf ball gas pump chainsaw cassette player french horn english springer tench van gogh
rembrandt picasso monet kelly mckernan naked nude violence blood weapon oil canvas watercolor pencil ink abstract
surreal realistic hyperrealistic unreal engine octane artstation greg rutkowski makoto shinkai 3d 4k 8k hdr close up
wide angle view background foreground center left right top bottom large small old new ancient modern futuristic space
planet star stars moon sun earth robot cyborg dragon knight queen king princess wizard warrior don't it's we're they'll
i've you'd isn't its their this that these those which what where when who how not no yes very more most less least""".split()
OTHER = """straße mädchen über größe schön élève garçon château naïve façade señor niño mañana coração ação œuvre
привет мир город женщина красный ελληνικά φως θάλασσα 日本語 東京 漢字 猫 犬 絵画 中国 北京 風景 한국어 서울 사람 안녕하세요
العربية مرحبا كتاب مدينة עברית שלום हिन्दी नमस्ते चित्र বাংলা தமிழ் తెలుగు ไทย สวัสดี ກຂຄ ქართული հայերեն አማርኛ
tiếng việt người đẹp şehir çiçek ılık ğüzel żółć łódź příliš žluťoučký kůň îles ærø ångström þórr""".split()


def byte_alphabet():
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    other = [b for b in range(256) if b not in kept]
    return {**{b: chr(b) for b in kept}, **{b: chr(0x100 + i) for i, b in enumerate(other)}}


def learn(count):
    """The most frequent pair of neighbours is joined, again and again; of equal ones the first in the order of text."""
    weights = collections.Counter()
    for rank, word in enumerate(WORDS):
        weights[word.lower()] += 4000 // (rank + 5) + 5
    for word in OTHER:
        weights[word.lower()] += 12
    for _ in range(1500):
        weights["".join(dice.choice(WORDS)[:dice.randint(2, 4)] for _ in range(dice.randint(1, 3)))] += 3
    for mark in ["!", "...", ",", ".", "!!!", "?!", "--", ":)", "(", ")", "\U0001F600", "❤️", "👩‍👩‍👧", "、", "。"]:
        weights[mark] += 30
    alphabet = byte_alphabet()
    words = [[[alphabet[b] for b in word.encode()], weight] for word, weight in sorted(weights.items())]
    for symbols, _ in words:
        symbols[-1] += "</w>"
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for symbols, weight in words:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += weight
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for entry in words:
            symbols, joined, at = entry[0], [], 0
            while at < len(symbols):
                if tuple(symbols[at:at + 2]) == best:
                    joined.append(best[0] + best[1])
                    at += 2
                else:
                    joined.append(symbols[at])
                    at += 1
            entry[0] = joined
    return merges


def write_folder():
    folder = here / "clip"
    folder.mkdir(exist_ok=True)
    merges = learn(2000)
    letters = [chr(ord(c)) for c in byte_alphabet().values()]
    tokens = list(dict.fromkeys(letters + [c + "</w>" for c in letters] + ["".join(pair) for pair in merges]))
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")) + "\n")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    token = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    start, end = dict(token, content="<|startoftext|>"), dict(token, content="<|endoftext|>")
    special = {"bos_token": start, "eos_token": end, "pad_token": "<|endoftext|>", "unk_token": end}
    config = dict(special, add_prefix_space=False, do_lower_case=True, errors="replace", model_max_length=77,
                  tokenizer_class="CLIPTokenizer")
    for name, values in (("special_tokens_map.json", special), ("tokenizer_config.json", config)):
        (folder / name).write_text(json.dumps(values, indent=2) + "\n")
    return folder


SPACES = [" ", "  ", "\t", "\n", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\u00a0", "\u1680",
          "\u180e", "\u2000", "\u2009", "\u200a", "\u200b", "\u200c", "\u200d", "\u2028", "\u2029", "\u202f", "\u205f",
          "\u2060", "\u3000", "\ufeff", "\u00ad", "\u034f", "\u061c", "\u2062"]
SPECIALS = ["<|startoftext|>", "<|endoftext|>", "<|StartOfText|>", "<|ENDOFTEXT|>", "<|endoftext|", "|endoftext|>",
            "< |endoftext| >", "<|endoftext|><|endoftext|>", "<|start", "oftext|>", "</w>", "a</w>", "<|İ|>",
            "<|endo\u0301ftext|>", "<|endoftext|>\u0301", "<|EndOfTe\u212At|>", "<|\u017ftartoftext|>"]
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇯🇵🇺🇸", "1️⃣", "#️⃣", "❤️", "❤︎", "🧑🏿‍🚀", "🫠", "🪿", "🫩", "©️", "™", "☃️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👁️‍🗨️", "♾️"]
MARKS = ["e\u0301", "a\u030a", "o\u0308\u0304", "q\u0307\u0323", "q\u0323\u0307", "\u0301", "\u1e69", "s\u0323\u0307",
         "Z\u0351\u0343\u032fa\u0321", "i\u0307", "I\u0307", "\u0130", "\u0131", "ı̇", "\u212b", "\u2126", "\u0344", "\u0958",
         "\u0340\u0341", "\uf900", "\u2adc", "\ufb1d", "\u1100\u1161\u11a8", "\uac00\u11a8", "\u1100\u1161", "\u11a8",
         "\u1f71", "\u03ac", "\u0390", "\u0345\u0301", "\u09c7\u09be", "\u0b47\u0b56", "\u0dd9\u0dcf\u0dca",
         "\u0d46\u0d3e", "\u1b05\u1b35", "\U000110a5", "\U00011099\U000110ba", "\U0001d15e", "\U0002f800", "\u0f77",
         "\u0f73", "\u0f71\u0f72", "\u3099か", "か\u3099", "ハ\u309a", "a\u0315\u0300\u05ae\u0300b", "\u0cc6\u0cc2\u0cd5"]
CASES = ["İ", "I", "ı", "İSTANBUL", "ẞ", "ß", "ﬁ", "ﬀ", "ﬃ", "ﬆ", "ΣΑΣ", "ΟΔΥΣΣΕΥΣ", "ς", "ǅ", "Ǆ", "ǆ", "ŉ", "ᾼ", "ᾈ", "ῼ",
         "Ⓐ", "Ⅷ", "ⅷ", "Ａ", "Ω", "K", "Å", "Ꮿ", "ꭰ", "Ა", "ა", "Ⴀ", "ⴀ", "𐐀", "𐐨", "𞤀", "Ꟛ", "ꟛ", "Ɤ", "Ᲊ", "𐵐", "Ɜ", "ɜ"]
NUMBERS = ["0", "42", "3.14", "1,000", "½", "²", "₂", "Ⅻ", "ⅻ", "٣", "۴", "०१", "๕", "一二三", "〇", "①", "⑳", "㉑", "𝟘", "𝟙", "１２",
           "൧൨", "༡", "༳", "1st", "2nd", "x1y2", "1e-5", "𐄇", "𒐀", "🯰", "꘠", "௧௦", "፩", "ↀ", "𑁒", "𐌠", "㆒", "㊀", "𞴁", "𑽐"]
PUNCTUATION = ["!", "!!!", "?!", "...", "…", "—", "–", "-", "--", "_", "__", "'", "''", "’", "`", "´", "“quoted”", "«»", "¡", "¿",
               "(a)", "[b]", "{c}", "<d>", "a/b", "a\\b", "a|b", "a&b", "&amp;", "&lt;b&gt;", "&#39;", "&nbsp;", "@user", "#tag",
               "50%", "$5", "€5", "£", "¥", "a+b=c", "a*b", "~", "^", "°", "§", "¶", "·", "•", "※", "、", "。", "！", "？", "「」", "؟", "،",
               "।", "॥", "၊", "።", "\u2019s", "'s", "'S", "'t", "'re", "'VE", "'m", "'ll", "'d", "'sx", "'ſ", "''s", "o'clock",
               "don't", "DON'T", "they'LL", "'\u017f", "'\u212a", "x's.y", "http://a.b/c?d=e", "a@b.co", ":)", "^_^", "¯\\_(ツ)_/¯"]
SCRIPTS = [(0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x250, 0x2AF), (0x370, 0x3FF), (0x400, 0x52F), (0x531, 0x58A),
           (0x591, 0x5F4), (0x600, 0x6FF), (0x700, 0x7BF), (0x900, 0x97F), (0x980, 0x9FF), (0xB80, 0xBFF), (0xE01, 0xE5B),
           (0xF00, 0xFD4), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x137F), (0x13A0, 0x13FD),
           (0x1C80, 0x1CBF), (0x1E00, 0x1FFF), (0x2070, 0x218B), (0x2190, 0x23FF), (0x2460, 0x24FF), (0x2C00, 0x2DFF),
           (0x3041, 0x30FF), (0x4E00, 0x4EFF), (0xA640, 0xA69F), (0xA720, 0xA7FF), (0xAB30, 0xABBF), (0xAC00, 0xACFF),
           (0xFB00, 0xFDFF), (0xFE00, 0xFE6F), (0xFF00, 0xFFEF), (0x10000, 0x100FA), (0x10400, 0x104FF), (0x118A0, 0x118FF),
           (0x1D400, 0x1D7FF), (0x1E900, 0x1E95F), (0x1F300, 0x1F6FF), (0x1F900, 0x1FAFF), (0x20000, 0x200FF)]
ODD = [(0x00, 0x1F), (0x7F, 0x9F), (0x300, 0x36F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x2000, 0x206F), (0x20D0, 0x20FF),
       (0xE000, 0xE0FF), (0xFDD0, 0xFDEF), (0xFFF0, 0xFFFF), (0x378, 0x379), (0x1D173, 0x1D17A), (0xE0000, 0xE01EF),
       (0xF0000, 0xF00FF), (0x10FF00, 0x10FFFF), (0x1FFFE, 0x1FFFF), (0x50000, 0x500FF), (0x2FE0, 0x2FFF), (0x870, 0x8FF),
       (0x1C80, 0x1C8F), (0xA7C0, 0xA7FF), (0x10D40, 0x10D8F), (0x16D40, 0x16D7F), (0x105C0, 0x105FF), (0x113A0, 0x113FF),
       (0x1E5D0, 0x1E5FF), (0x11BC0, 0x11BFF), (0x1CC00, 0x1CCFF)]


def scalar(ranges):
    while True:
        low, high = dice.choice(ranges)
        code = dice.randint(low, high)
        if not 0xD800 <= code <= 0xDFFF:
            return chr(code)


def cased(word):
    return dice.choice([word, word, word.upper(), word.title(), "".join(dice.choice([c, c.upper()]) for c in word)])


def piece():
    kind = dice.random()
    if kind < 0.30: return cased(dice.choice(WORDS))
    if kind < 0.36: return cased(dice.choice(OTHER))
    if kind < 0.46: return dice.choice(PUNCTUATION)
    if kind < 0.53: return dice.choice(NUMBERS)
    if kind < 0.59: return dice.choice(EMOJI)
    if kind < 0.66: return dice.choice(MARKS)
    if kind < 0.72: return dice.choice(CASES)
    if kind < 0.76: return dice.choice(SPECIALS)
    if kind < 0.90: return "".join(scalar(SCRIPTS) for _ in range(dice.randint(1, 4)))
    if kind < 0.96: return scalar(ODD)
    return unicodedata.normalize(dice.choice(["NFD", "NFKD", "NFC"]), scalar(SCRIPTS))


def joint():
    return dice.choice([" ", " ", " ", "", "", dice.choice(SPACES)])


def strings():
    seen = set()
    single = [*SPACES, *SPECIALS, *EMOJI, *MARKS, *CASES, *NUMBERS, *PUNCTUATION, "", "a photo of a red dog"]
    long = [" ".join(dice.choice(WORDS) for _ in range(120)), "z" * 3000, "!" * 700, "a " * 300, "猫" * 250, "e\u0301" * 200,
            " ".join(str(n) for n in range(150)), "<|endoftext|>" * 40, " " * 500 + "a", "photograph" * 60]
    for text in long + single + ["a" + s + "b" for s in SPACES] + [s + "B " + s for s in SPACES]:
        if text not in seen:
            seen.add(text)
            yield text
    while len(seen) < 10000:
        text = piece()
        for _ in range(dice.choice([0, 1, 2, 3, 3, 4, 5])):
            text += joint() + piece()
        if text not in seen:
            seen.add(text)
            yield text


def digest(ids):
    value = 0x811C9DC5
    for number in ids:
        for byte in number.to_bytes(4, "little"):
            value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f"{value:08x}"


tokenizer = CLIPTokenizer.from_pretrained(write_folder())
with open(here / "strings.jsonl", "w", encoding="utf-8") as file:
    for number, text in enumerate(strings()):
        line = [text, digest(tokenizer(text, add_special_tokens=False).input_ids)]
        if number < 300:
            line.append(tokenizer(text, padding="max_length", truncation=True).input_ids)
            ids = line[2]
            while len(ids) > 1 and ids[-1] == ids[-2]:
                ids.pop()
        file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
print(transformers.__version__)
