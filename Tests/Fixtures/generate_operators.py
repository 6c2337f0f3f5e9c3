"""Writes what PyTorch computes with every operator of the Tensors room, on tensors of a few elements.

    operators.safetensors   per case: `<case>.<input>`, `<case>.output`, `<case>.upstream` (the gradient that arrives at
                            the output) and `<case>.grad.<input>` (the gradient that leaves at each input)
    operators.json          per case: the operator, its inputs in order and its attributes
    optimisers.safetensors  parameters, gradients and what Adam and AdamW make of them
    dtypes/                 the same values as the safetensors library writes them in F32, F16 and BF16, and what they
                            are in float32 (`expected.safetensors`)

Everything is drawn from fixed seeds and computed in float64 from float32 values, so that what a test sees is the error
of Lethe alone. Usage: python generate_operators.py  (needs torch and safetensors; it writes beside itself).
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
draw = torch.Generator().manual_seed(11)
cases, tensors = [], {}


def normal(*shape):
    return torch.randn(shape, generator=draw)


def positive(*shape):
    return torch.rand(shape, generator=draw) * 2 + 0.3


def away_from_zero(*shape):
    """For operators with a kink at zero, where neither a gradient nor a finite difference means anything."""
    value = normal(*shape)
    return value + 0.1 * value.sign()


def case(name, operator, inputs, compute, **attributes):
    """Records one case; `inputs` maps the operator's argument names to float32 tensors."""
    exact = {key: value.double().requires_grad_() for key, value in inputs.items()}
    output = compute(*exact.values())
    upstream = torch.randn(output.shape, generator=draw)
    gradients = torch.autograd.grad(output, list(exact.values()), upstream.double())
    for key, value in inputs.items():
        tensors[f"{name}.{key}"] = value
    for key, gradient in zip(inputs, gradients):
        tensors[f"{name}.grad.{key}"] = gradient
    tensors[f"{name}.output"] = output
    tensors[f"{name}.upstream"] = upstream
    cases.append({"name": name, "operator": operator, "inputs": list(inputs), "attributes": attributes})


def arithmetic():
    for name, operation in {
        "add": lambda a, b: a + b, "subtract": lambda a, b: a - b,
        "multiply": lambda a, b: a * b, "divide": lambda a, b: a / b,
    }.items():
        right = positive if name == "divide" else normal
        case(f"{name}.same", name, {"a": normal(2, 3, 4), "b": right(2, 3, 4)}, operation)
        case(f"{name}.bias", name, {"a": normal(2, 3, 4), "b": right(4)}, operation)
        case(f"{name}.channels", name, {"a": normal(2, 3, 2, 2), "b": right(2, 3, 1, 1)}, operation)
        case(f"{name}.both", name, {"a": normal(2, 1, 4), "b": right(3, 1)}, operation)
        case(f"{name}.scalar", name, {"a": normal(3, 2), "b": right(1)}, operation)


def elementwise():
    table = {
        "silu": (F.silu, normal), "gelu": (F.gelu, normal), "relu": (F.relu, away_from_zero),
        "quick_gelu": (lambda x: x * torch.sigmoid(1.702 * x), normal), "tanh": (torch.tanh, normal),
        "exp": (torch.exp, normal), "log": (torch.log, positive), "sqrt": (torch.sqrt, positive),
        "square": (torch.square, normal), "abs": (torch.abs, away_from_zero), "sigmoid": (torch.sigmoid, normal),
    }
    for name, (operation, values) in table.items():
        # 37 elements: no whole number of vector registers.
        case(name, name, {"x": values(37)}, operation)
    tails = torch.tensor([-88.0, -40.0, -12.0, -6.0, -1e-4, 0.0, 1e-4, 6.0, 12.0, 40.0, 88.0])
    for name in ("silu", "gelu", "quick_gelu", "tanh", "sigmoid"):
        case(f"{name}.tails", name, {"x": tails}, table[name][0])

    def geglu(x):
        value, gate = x.chunk(2, dim=-1)
        return value * F.gelu(gate)

    case("geglu", "geglu", {"x": normal(2, 3, 10)}, geglu)
    for name, operation in {"softmax": F.softmax, "log_softmax": F.log_softmax}.items():
        case(name, name, {"x": 3 * normal(2, 3, 7)}, lambda x, operation=operation: operation(x, dim=-1))
        case(f"{name}.large", name, {"x": 100 * normal(2, 5) + 1000},
             lambda x, operation=operation: operation(x, dim=-1))


def products():
    case("matmul", "matmul", {"a": normal(3, 5), "b": normal(5, 4)}, torch.matmul)
    case("matmul.row", "matmul", {"a": normal(1, 7), "b": normal(7, 2)}, torch.matmul)
    case("matmul.batched", "matmul", {"a": normal(2, 3, 5), "b": normal(2, 5, 4)}, torch.matmul)
    case("matmul.batched4", "matmul", {"a": normal(2, 3, 2, 5), "b": normal(2, 3, 5, 4)}, torch.matmul)
    for name, shape in {"linear": (4, 6), "linear.sequence": (2, 3, 6)}.items():
        case(name, "linear", {"x": normal(*shape), "weight": normal(5, 6), "bias": normal(5)}, F.linear)
    case("linear.unbiased", "linear", {"x": normal(2, 3, 6), "weight": normal(5, 6)}, F.linear)


def convolutions():
    def convolution(name, batch, channels, size, outputs, kernel, stride, padding, bias=True):
        inputs = {"x": normal(batch, channels, *size), "weight": normal(outputs, channels, kernel, kernel)}
        if bias:
            inputs["bias"] = normal(outputs)
        case(name, "conv2d", inputs, lambda x, weight, bias=None: F.conv2d(x, weight, bias, stride, padding),
             stride=stride, padding=padding)

    convolution("conv2d.3x3", 2, 3, (5, 6), 4, kernel=3, stride=1, padding=1)
    convolution("conv2d.3x3_unpadded", 1, 2, (5, 4), 3, kernel=3, stride=1, padding=0)
    convolution("conv2d.1x1", 2, 3, (3, 5), 4, kernel=1, stride=1, padding=0, bias=False)
    convolution("conv2d.stride2", 2, 3, (6, 8), 2, kernel=3, stride=2, padding=1)
    convolution("conv2d.stride2_odd", 2, 2, (7, 5), 3, kernel=3, stride=2, padding=1)
    convolution("conv2d.stride2_unpadded", 1, 2, (7, 6), 3, kernel=3, stride=2, padding=0)
    convolution("conv2d.patches", 2, 3, (8, 8), 5, kernel=4, stride=4, padding=0, bias=False)
    convolution("conv2d.small_image", 1, 2, (2, 1), 3, kernel=3, stride=1, padding=1)
    convolution("conv2d.wide", 3, 9, (4, 4), 17, kernel=3, stride=1, padding=1)
    # The downsampling of AutoencoderKL's encoder: one row and column of zeros at the far edges only.
    case("conv2d.far_edges", "conv2d_far_edges",
         {"x": normal(2, 3, 6, 4), "weight": normal(4, 3, 3, 3), "bias": normal(4)},
         lambda x, weight, bias: F.conv2d(F.pad(x, (0, 1, 0, 1)), weight, bias, stride=2))
    case("upsample", "upsample", {"x": normal(2, 3, 2, 3)},
         lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest"))


def norms():
    def group_norm(name, shape, groups, eps):
        case(name, "group_norm", {"x": 2 * normal(*shape) + 0.5, "weight": normal(shape[1]), "bias": normal(shape[1])},
             lambda x, weight, bias: F.group_norm(x, groups, weight, bias, eps), groups=groups, eps=eps)

    group_norm("group_norm", (2, 6, 3, 5), groups=3, eps=1e-5)
    group_norm("group_norm.one_group", (1, 4, 2, 2), groups=1, eps=1e-6)
    group_norm("group_norm.channelwise", (2, 3, 4, 4), groups=3, eps=1e-6)
    for name, shape in {"layer_norm": (2, 3, 7), "layer_norm.rows": (4, 16)}.items():
        case(name, "layer_norm", {"x": 2 * normal(*shape) - 1, "weight": normal(shape[-1]), "bias": normal(shape[-1])},
             lambda x, weight, bias: F.layer_norm(x, weight.shape, weight, bias, 1e-5), eps=1e-5)


def attention():
    def multi_head(name, batch, queries, keys, width, heads, causal=False):
        def compute(query, key, value):
            def split(x):
                return x.unflatten(-1, (heads, width // heads)).transpose(1, 2)
            output = F.scaled_dot_product_attention(split(query), split(key), split(value), is_causal=causal)
            return output.transpose(1, 2).flatten(2)
        case(name, "attention",
             {"query": normal(batch, queries, width), "key": normal(batch, keys, width),
              "value": normal(batch, keys, width)},
             compute, heads=heads, causal=causal)

    multi_head("attention.self", 2, 5, 5, 6, heads=2)
    multi_head("attention.cross", 2, 4, 7, 6, heads=3)
    multi_head("attention.one_head", 1, 6, 6, 5, heads=1)
    multi_head("attention.one_key", 2, 3, 1, 4, heads=2)
    multi_head("attention.causal", 2, 5, 5, 8, heads=2, causal=True)


def shapes():
    identifiers = [3, 0, 3, 5, 1, 1]
    case("embedding", "embedding", {"table": normal(6, 4)},
         lambda table: F.embedding(torch.tensor(identifiers).reshape(2, 3), table), ids=identifiers, shape=[2, 3])
    case("slice.first", "slice", {"x": normal(5, 3)}, lambda x: x[1:4], axis=0, start=1, end=4)
    case("slice.middle", "slice", {"x": normal(2, 5, 3)}, lambda x: x[:, 2:5], axis=1, start=2, end=5)
    case("slice.last", "slice", {"x": normal(2, 3, 6)}, lambda x: x[..., :4], axis=2, start=0, end=4)
    for axis, widths in {0: (1, 3), 1: (2, 1), 2: (3, 2)}.items():
        pair = [[2, 2, 2], [2, 2, 2]]
        for shape, width in zip(pair, widths):
            shape[axis] = width
        case(f"concatenate.{axis}", "concatenate", {"a": normal(*pair[0]), "b": normal(*pair[1])},
             lambda a, b, axis=axis: torch.cat([a, b], dim=axis), axis=axis)
    case("reshape", "reshape", {"x": normal(2, 3, 4)}, lambda x: x.reshape(6, 4), shape=[6, 4])
    case("transpose.matrix", "transpose", {"x": normal(3, 5)}, lambda x: x.permute(1, 0), permutation=[1, 0])
    for name, permutation in {"heads": [0, 2, 1, 3], "channels": [0, 3, 1, 2]}.items():
        case(f"transpose.{name}", "transpose", {"x": normal(2, 3, 4, 5)},
             lambda x, permutation=permutation: x.permute(permutation), permutation=permutation)


def reductions():
    for name in ("sum", "mean"):
        operation = getattr(torch, name)
        case(f"{name}.all", name, {"x": normal(2, 3, 4)}, lambda x: operation(x).reshape(()))
        ways = (("last", [2], False), ("spatial", [2, 3], True), ("first", [0], False), ("outer", [0, 2], False))
        for label, axes, keep in ways:
            shape = (2, 3, 4, 5) if label == "spatial" else (2, 3, 4)
            case(f"{name}.{label}", name, {"x": normal(*shape)},
                 lambda x, axes=axes, keep=keep: operation(x, dim=axes, keepdim=keep), axes=axes, keep_dimensions=keep)
    case("mse_loss", "mse_loss", {"prediction": normal(2, 3, 4), "target": normal(2, 3, 4)}, F.mse_loss)
    labels = [2, 0, 4, 4]
    case("cross_entropy", "cross_entropy", {"logits": 2 * normal(4, 5)},
         lambda logits: F.cross_entropy(logits, torch.tensor(labels)), labels=labels)


def optimisers():
    """Five steps on two parameters with given gradients; clipping at a global norm that some of the steps exceed."""
    values, steps, bound = {}, 5, 2.0
    start = {"a": normal(3, 4), "b": normal(5)}
    sizes = (1, 0.1, 3, 0.5, 1e-3)
    gradients = [{name: normal(*value.shape) * size for name, value in start.items()} for size in sizes]
    for name, value in start.items():
        values[f"start.{name}"] = value
        for step in range(steps):
            values[f"gradient.{step}.{name}"] = gradients[step][name]
    for kind, make in {
        "adam": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.9, 0.999), eps=1e-8),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.1),
        "clipped": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.9, 0.999), eps=1e-8),
    }.items():
        parameters = {name: value.double().clone().requires_grad_() for name, value in start.items()}
        optimiser = make(list(parameters.values()))
        for step in range(steps):
            for name, parameter in parameters.items():
                parameter.grad = gradients[step][name].double().clone()
            if kind == "clipped":
                norm = torch.nn.utils.clip_grad_norm_(list(parameters.values()), bound)
                values[f"clipped.norm.{step}"] = norm.reshape(1)
                for name, parameter in parameters.items():
                    values[f"clipped.gradient.{step}.{name}"] = parameter.grad.clone()
            optimiser.step()
            for name, parameter in parameters.items():
                values[f"{kind}.{step}.{name}"] = parameter.detach().clone()
    write(values, "optimisers.safetensors")


def dtypes():
    """Ordinary values, and those at the edges of the half formats: subnormals, largest, infinities, signed zeros."""
    infinity = float("inf")
    edges = torch.tensor(
        [0.0, -0.0, 1.0, -2.5, 65504.0, 6.1e-5, 5.96e-8, -3.0e-6, infinity, -infinity, 1 / 3, 1e-30])
    (HERE / "dtypes").mkdir(exist_ok=True)
    expected = {}
    for name, dtype in {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}.items():
        save_file({"edges": edges.to(dtype), "matrix": values_matrix().to(dtype),
                   "empty": torch.zeros(0, 3, dtype=dtype), "scalar": torch.tensor(1.5, dtype=dtype)},
                  HERE / "dtypes" / f"{name}.safetensors", metadata={"dtype": name})
        expected[f"{name}.edges"] = edges.to(dtype)
        expected[f"{name}.matrix"] = values_matrix().to(dtype)
    write(expected, "dtypes/expected.safetensors")


def values_matrix():
    return torch.randn(3, 5, generator=torch.Generator().manual_seed(12))


def write(values, name):
    save_file({key: value.detach().float().clone().contiguous() for key, value in values.items()}, HERE / name)


def main():
    torch.set_num_threads(1)
    for part in (arithmetic, elementwise, products, convolutions, norms, attention, shapes, reductions):
        part()
    write(tensors, "operators.safetensors")
    (HERE / "operators.json").write_text(
        "[\n" + ",\n".join(" " + json.dumps(entry, sort_keys=True) for entry in cases) + "\n]\n")
    optimisers()
    dtypes()
    print(f"{len(cases)} cases of {len({entry['operator'] for entry in cases})} operators")


if __name__ == "__main__":
    main()
