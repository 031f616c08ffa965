"""Barriers between trained networks before and after alignment: digits, a residual network, modular addition.

Every network is trained from scratch here, in pairs of seeds. Alignment sees training data only; barriers are taken on
held-out data, each with its standard error over the held-out examples and with the barrier of the error; for the
residual network also with the statistics of units repaired. Where a folder with the PyPI package ``rebasin`` is given,
it aligns the same digits networks.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from allroads import Network, Problem, barrier
from allroads.networks.mlp import mlp
from allroads.networks.transformer import transformer
from allroads.paths.align import align

METHODS = ("weights", "activations", "search")
PRIME = 23
DIGITS = (False, 64), (True, 64), (True, 128)
"""Whether pixels are standardised, and examples a step. The last has the barrier of .31 at 2 x 256."""


def digits(standardised=False):
    """Pixels from 0 to 1, or each with mean 0 and deviation 1 over the training images."""
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split((images / 16).astype(np.float32), labels, test_size=0.25, random_state=0, stratify=labels)
    train, test = parts[:2]
    if standardised:
        centre, spread = train.mean(0), np.maximum(train.std(0), 0.05)
        train, test = (train - centre) / spread, (test - centre) / spread
    return train, parts[2], test, parts[3]


def modular_addition():
    pairs = np.array([(a, b) for a in range(PRIME) for b in range(PRIME)])
    labels = pairs.sum(1) % PRIME
    order = np.random.default_rng(0).permutation(len(pairs))
    cut = int(0.8 * len(pairs))
    return pairs[order[:cut]], labels[order[:cut]], pairs[order[cut:]], labels[order[cut:]]


def residual_network(width=16):
    """A stem, two residual blocks, mean pooling; no normalisation."""

    def conv(x, w):
        return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def init(key):
        shapes = {"stem": (3, 3, 1, width), "out": (width, 10)}
        shapes |= {f"{name}{k}": (3, 3, width, width) for k in range(2) for name in ("first", "second")}
        keys = jax.random.split(key, len(shapes))
        return {
            name: jax.random.normal(k, shape) * np.sqrt(2 / np.prod(shape[:-1]))
            for k, (name, shape) in zip(keys, shapes.items(), strict=True)
        }

    def apply(p, x):
        x = jax.nn.relu(conv(x.reshape(-1, 8, 8, 1), p["stem"]))
        for k in range(2):
            x = jax.nn.relu(x + conv(jax.nn.relu(conv(x, p[f"first{k}"])), p[f"second{k}"]))
        return x.mean((1, 2)) @ p["out"]

    return Network(init, apply, name="residual network")


def train(network, seed, data, epochs, batch=64, rate=1e-3, decay=0.0):
    inputs, labels = map(jnp.asarray, data[:2])
    params = network.init(jax.random.key(seed))
    optimiser = optax.adamw(rate, weight_decay=decay)
    rng = np.random.default_rng(seed)
    steps = len(inputs) // batch
    order = np.concatenate([rng.permutation(len(inputs))[: steps * batch].reshape(steps, batch) for _ in range(epochs)])

    def step(state, rows):
        params, inner = state

        def loss(params):
            outputs = network.apply(params, inputs[rows])
            return optax.softmax_cross_entropy_with_integer_labels(outputs, labels[rows]).mean()

        moves, inner = optimiser.update(jax.grad(loss)(params), inner, params)
        return (optax.apply_updates(params, moves), inner), None

    run = jax.jit(lambda state, order: lax.scan(step, state, order)[0])
    return jax.tree.map(np.asarray, run((params, optimiser.init(params)), order)[0])


def standard_error(network, a, b, data):
    """Of the mean over held-out examples of the loss half way, above the mean of the ends."""

    def losses(point):
        return optax.softmax_cross_entropy_with_integer_labels(network.apply(point, data[2]), data[3])

    middle = jax.tree.map(lambda p, q: (p + q) / 2, a, b)
    above = losses(middle) - (losses(a) + losses(b)) / 2
    return float(above.std() / np.sqrt(len(data[3])))


def parts_half_way(network, a, b, data):
    """Of the logits half way, on held-out inputs: what all share, what single ones add, and the loss with the first
    set to the mean of the ends'."""
    middle = jax.tree.map(lambda p, q: (p + q) / 2, a, b)
    first, last, half = (np.asarray(network.apply(point, data[2])) for point in (a, b, middle))
    centred = half - half.mean(1, keepdims=True)
    common, own = centred.mean(0), centred - centred.mean(0)
    mended = half - half.mean(0) + (first.mean(0) + last.mean(0)) / 2
    loss = optax.softmax_cross_entropy_with_integer_labels(mended, data[3]).mean()
    return [float(np.sqrt((common**2).mean())), float(np.sqrt((own**2).mean())), float(loss)]


def measure(name, network, data, pairs, examples=None, repair=None, **training):
    ends = [train(network, seed, data, **training) for seed in range(2 * pairs)]
    accuracy = np.mean([(np.argmax(network.apply(p, data[2]), 1) == data[3]).mean() for p in ends])
    row = {"network": name, "pairs": pairs, "accuracy": float(accuracy)}
    heights = {method: [] for method in ("none", *METHODS)}
    trained, errors, repaired, noise, parts = ({method: [] for method in heights} for _ in range(5))
    seconds = dict.fromkeys(METHODS, 0.0)
    training, held_out = (Problem(network, "cross_entropy", *part) for part in (data[:2], data[2:]))
    for a, b in zip(ends[::2], ends[1::2], strict=True):
        for method in heights:
            moved = b
            if method != "none":
                start = time.perf_counter()
                moved = align(network, a, b, data[0][:examples], method=method, loss="cross_entropy").params
                seconds[method] += time.perf_counter() - start
            found = barrier(held_out, a, moved)
            heights[method].append(found.height)
            errors[method].append(found.error_height)
            noise[method].append(standard_error(network, a, moved, data))
            if repair:
                options = {"repair": repair, "calibration": data[0][:examples]}
                repaired[method].append(barrier(held_out, a, moved, **options).height)
                parts[method].append(parts_half_way(network, a, moved, data))
            trained[method].append(barrier(training, a, moved).height)
    row |= {method: float(np.mean(values)) for method, values in heights.items()}
    row |= {f"{method}_train": float(np.mean(values)) for method, values in trained.items()}
    row |= {f"{method}_error": float(np.mean(values)) for method, values in errors.items()}
    row |= {f"{method}_noise": float(np.sqrt(np.mean(np.square(v)) / pairs)) for method, v in noise.items()}
    row |= {f"{method}_repaired": float(np.mean(values)) for method, values in repaired.items() if values}
    row |= {f"{method}_seconds": seconds[method] / pairs for method in METHODS}
    row["single"] = heights
    if repair:
        row["half_way"] = parts
    print_row(row)
    return row, ends


def print_row(row):
    def line(title, cells):
        print(f"{title:40} " + " ".join(f"{cell:>17}" for cell in cells), flush=True)

    methods = ("none", *METHODS)
    line(
        f"{row['network']:34} {row['accuracy']:.3f}",
        [f"{row[m]:.4f} ({row[f'{m}_train']:.4f})" for m in methods],
    )
    line("  standard error; of the error", [f"{row[f'{m}_noise']:.4f}; {row[f'{m}_error']:.4f}" for m in methods])
    if "none_repaired" in row:
        line("  repaired", [f"{row[f'{m}_repaired']:.4f}" for m in methods])


PEER = """
import sys, warnings
import numpy as np, torch
warnings.simplefilter("ignore")
from rebasin import PermutationCoordinateDescent
stored = np.load(sys.argv[1])
def net(which):
    layers, k = [], 0
    while f"{which}_{k}_w" in stored:
        w, b = stored[f"{which}_{k}_w"], stored[f"{which}_{k}_b"]
        layer = torch.nn.Linear(*w.shape)
        layer.weight.data, layer.bias.data = torch.tensor(w.T.copy()), torch.tensor(b)
        layers += [layer, torch.nn.ReLU()]
        k += 1
    return torch.nn.Sequential(*layers[:-1])
a, b = net("a"), net("b")
torch.manual_seed(0)
found = PermutationCoordinateDescent(a, b, torch.tensor(stored["x"][:16]))
found.rebasin()
linear = [m for m in b if isinstance(m, torch.nn.Linear)]
np.savez(sys.argv[2], **{f"{k}_{n}": v for k, m in enumerate(linear)
    for n, v in (("w", m.weight.detach().numpy().T), ("b", m.bias.detach().numpy()))})
"""


def peer(python, network, ends, data, folder):
    """The same pairs aligned by the package ``rebasin`` in its own Python; held-out barriers."""
    heights = []
    for a, b in zip(ends[::2], ends[1::2], strict=True):
        arrays = {"x": data[0]}
        for which, point in (("a", a), ("b", b)):
            for k, layer in enumerate(point["layers"]):
                arrays |= {f"{which}_{k}_w": layer["weight"], f"{which}_{k}_b": layer["bias"]}
        np.savez(folder / "in.npz", **arrays)
        subprocess.run([python, "-c", PEER, str(folder / "in.npz"), str(folder / "out.npz")], check=True, timeout=300)
        out = np.load(folder / "out.npz")
        layers = [{"weight": out[f"{k}_w"], "bias": out[f"{k}_b"]} for k in range(len(b["layers"]))]
        heights.append(barrier(Problem(network, "cross_entropy", *data[2:]), a, {"layers": layers}).height)
    return float(np.mean(heights))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "alignment.json")
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--rebasin", help="a Python that has torch and rebasin 0.0.47")
    args = parser.parse_args()
    rows = []
    print("held-out barrier in nats (training data in brackets)")
    print(f"{'network':34} {'acc':5} " + " ".join(f"{m:>17}" for m in ("none", *METHODS)))
    for (standardised, batch), (depth, width) in product(DIGITS, ((2, 256), (3, 64))):
        network = mlp((64,), 10, widths=(width,) * depth, init="lecun", scale=3**-0.5, bias="uniform_fan_in")
        name = f"digits mlp {depth} x {width}" + (", standardised" if standardised else "") + f", batch {batch}"
        data = digits(standardised)
        row, ends = measure(name, network, data, args.pairs, epochs=60, batch=batch)
        if args.rebasin:
            row["rebasin"] = peer(args.rebasin, network, ends, data, Path(tempfile.mkdtemp()))
            print(f"{'':34} rebasin 0.0.47: {row['rebasin']:.4f}", flush=True)
        rows.append(row)
    rows.append(
        measure(
            "digits residual network width 16", residual_network(), digits(), 2, examples=256, repair="units", epochs=20
        )[0]
    )
    sums = transformer((2,), PRIME, vocabulary=PRIME, d_model=64, heads=4, d_mlp=128)
    rows.append(
        measure(f"sums mod {PRIME} transformer", sums, modular_addition(), 2, epochs=400, rate=2e-3, decay=0.3)[0]
    )
    args.json.write_text(
        json.dumps(
            {
                "command": "python benchmarks/alignment.py --rebasin PYTHON",
                "rows": rows,
                "python": sys.version.split()[0],
                "jax": jax.__version__,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
