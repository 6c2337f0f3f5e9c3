"""Writes torch/: files of torch.save, what they hold, and files that must be refused.

Usage: python generate_torch.py  (needs torch, safetensors; it writes beside itself).
"""

import io
import pickle
import shutil
import struct
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file

FOLDER = Path(__file__).resolve().parent / "torch"


def tensors():
    draw = torch.Generator().manual_seed(30)
    matrix = torch.randn(3, 5, generator=draw)
    whole = torch.randn(4, 6, generator=draw)
    return OrderedDict([
        ("matrix", matrix),
        ("transposed", matrix.t()),
        ("part", whole[1:3, 2:5]),
        ("column", whole[:, 4]),
        ("half", torch.tensor([1.0, -0.0, 65504.0, 6e-8, 0.1]).half()),
        ("bfloat", torch.tensor([1.0, -3.0e38, 0.1]).bfloat16()),
        ("double", torch.tensor([0.1, 1e300, -2.5], dtype=torch.float64)),
        ("scalar", torch.tensor(1.5)),
        ("empty", torch.zeros(0, 3)),
        ("position_ids", torch.arange(7)),
        ("flags", torch.tensor([True, False])),
        ("parameter", torch.nn.Parameter(torch.randn(2, 2, generator=draw))),
    ])


def tensor_pickle(shape=(2,), strides=(1,), offset=0, count=2, dtype="FloatStorage"):
    """The pickle of {"x": tensor} with any numbers in it."""
    def integers(values):
        return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"
    return (
        b"\x80\x02}X\x01\0\0\0xctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n" + dtype.encode()
        + b"\nX\x01\0\0\x000X\x03\0\0\0cpu" + b"J" + struct.pack("<i", count) + b"tQJ" + struct.pack("<i", offset)
        + integers(shape) + integers(strides) + b"\x89ccollections\nOrderedDict\n)RtRs.")


def archive(name, data, compression=zipfile.ZIP_STORED, numbers=struct.pack("<2f", 1, 2)):
    with zipfile.ZipFile(FOLDER / name, "w", compression) as file:
        for entry, content in [("archive/data.pkl", data), ("archive/data/0", numbers), ("archive/version", b"3\n")]:
            file.writestr(zipfile.ZipInfo(entry), content, compress_type=compression)


def written(name):
    """The bytes that Lethe writes for two tensors and a line of metadata, put together by hand."""
    def integer(value):
        return b"J" + struct.pack("<i", value)

    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value

    ordered = b"ccollections\nOrderedDict\n)R"
    tensors = [(b"a.weight", (2, 1, 2), (2, 2, 1), [float("inf"), -0.0, 1.0, 0.5]), (b"b", (), (), [2.0])]
    pickled = b"\x80\x02" + ordered + b"("
    entries = []
    for index, (key, shape, strides, values) in enumerate(tensors):
        storage = b"(" + text(b"storage") + b"ctorch\nFloatStorage\n" + text(b"%d" % index) + text(b"cpu") + integer(
            len(values)) + b"tQ"
        pickled += text(key) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + integer(0)
        for numbers in (shape, strides):
            pickled += b"(" + b"".join(integer(number) for number in numbers) + b"t"
        pickled += b"\x89" + ordered + b"tR"
        entries.append((b"data/%d" % index, struct.pack(f"<{len(values)}f", *values)))
    entries = [(b"data.pkl", pickled + b"u."), (b"byteorder", b"little")] + entries + [
        (b"version", b"3\n"), (b"lethe.json", b'{"lethe.base":"abc"}')]
    local, directory = b"", b""
    for key, content in entries:
        key = b"archive/" + key
        facts = struct.pack("<HHHHHIIIH", 0, 0, 0, 0, 33, zlib.crc32(content), len(content), len(content), len(key))
        padding = -(len(local) + 30 + len(key) + 4) % 64
        directory += b"PK\1\2\0\0" + facts + struct.pack("<HHHHII", 0, 0, 0, 0, 0, len(local)) + key
        local += b"PK\3\4" + facts + struct.pack("<H", 4 + padding) + key
        local += b"FB" + struct.pack("<H", padding) + b"Z" * padding + content
    count = len(entries)
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(local), 0)
    (FOLDER / name).write_bytes(local + directory + end)
    opened = torch.load(FOLDER / name, weights_only=True)
    assert list(opened) == ["a.weight", "b"] and opened["a.weight"].tolist() == [[[float("inf"), -0.0]], [[1.0, 0.5]]]
    assert opened["b"].item() == 2 and zipfile.ZipFile(FOLDER / name).testzip() is None


class Harmful:
    def __reduce__(self):
        return print, ("this text was printed by a file that was only to be read",)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    torch.manual_seed(31)
    torch.save(tensors(), FOLDER / "plain.pt")
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3))
    torch.save(module.state_dict(), FOLDER / "module.bin")
    torch.save(
        {"epoch": 3, "global_step": 2**40, "lr": 1e-4, "note": None, "done": True, "sizes": [1, (2, 3), torch.Size([4])],
         "callbacks": {"checkpoint": {"best_model_score": numpy.float64(0.25), "patience": numpy.array([1, 2])[0]}},
         "state_dict": tensors()},
        FOLDER / "training.ckpt")
    torch.save(tensors(), FOLDER / "protocol5.pt", pickle_protocol=5)
    expected = {name: tensor.detach().float().contiguous() for name, tensor in tensors().items()}
    expected |= {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    save_file(expected, FOLDER / "expected.safetensors")

    archive("good.pt", tensor_pickle())
    archive("harmful.pt", pickle.dumps({"x": Harmful()}, protocol=2))
    archive("class.pt", pickle.dumps({"x": io.BytesIO()}, protocol=2))
    archive("instance.pt", b"(ios\nsystem\n.")
    archive("stride.pt", tensor_pickle(strides=(2,)))
    archive("negative.pt", tensor_pickle(strides=(-1,), offset=1))
    archive("repeated.pt", tensor_pickle(shape=(1 << 30,), strides=(0,)))
    archive("offset.pt", tensor_pickle(offset=1))
    archive("count.pt", tensor_pickle(shape=(3,), count=3))
    archive("huge.pt", tensor_pickle(shape=(1 << 30, 1 << 30, 1 << 30), strides=(0, 0, 1)))
    archive("unfinished.pt", tensor_pickle()[:-9])
    archive("elsewhere.pt", tensor_pickle().replace(b"X\x01\0\0\x000", b"X\x01\0\0\x007"))
    archive("bomb.pt", tensor_pickle(), zipfile.ZIP_DEFLATED, bytes(1 << 22))
    whole = (FOLDER / "good.pt").read_bytes()
    (FOLDER / "truncated.pt").write_bytes(whole[:-40])
    written("written.pt")
    torch.save({"x": torch.ones(2)}, FOLDER / "legacy.pt", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
