"""Packed training beside a plain PyTorch loop, packed `torch.func.vmap` and a bare JAX scan, on one thread.

    python benchmarks/packed_training.py    # about ten minutes; writes benchmarks/results/packed_training.json

What is compared, one after the other in turn, in eight rounds (an eighth of the members each), all on one thread of one
process; what is printed are ratios of medians over the rounds:

- allroads: `explore` as a study runs it: 64 recorded steps with values on the probes, 16 checkpoints, status, cost;
- bare JAX: `jit(vmap(scan(Adam step)))` of the same network and pack, nothing recorded;
- PyTorch loop: one network at a time, `torch.optim.Adam`;
- PyTorch vmap: `torch.func.vmap(grad)` over a pack, Adam written out on the stacked weights.

All four train the same networks from the same start; their losses after the first steps are compared before anything
is timed. FLOPs of a step are those that XLA counts for one loss and gradient of one member; the peak is a 2048³
float32 matrix product in the same process and on the same thread, timed in turn with the rest.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = os.environ["NPROC"] = "1"  # NPROC sizes XLA's pool, which else takes all cores

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
import torch.nn.functional as F

from allroads import Network, Problem, explore
from allroads.explorers.adam import Adam
from allroads.explorers.recording import Recording
from allroads.explorers.width import pack_width
from allroads.networks.build import build
from allroads.pfmap.losses import resolve_loss
from allroads.targets.build import build_target

torch.set_num_threads(1)
RATE = 1e-3
ROUNDS = 8


class Workload:
    """One network on one data set, and how PyTorch would compute it from the same weights."""

    def __init__(self, name: str, network: Network, target: Any, examples: int, members: int, steps: int):
        self.name, self.network, self.loss = name, network, target.loss
        probes = target.full if target.full is not None and len(target.full) <= examples else target.train
        self.inputs, self.labels = probes.inputs[:examples], probes.labels[:examples]
        self.problem = Problem(network, target.loss, self.inputs, self.labels)
        self.members, self.steps = members, steps  # members a round


def torch_tree(params: Any) -> Any:
    return jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf)), params)


def dense(layer: Any, x: torch.Tensor) -> torch.Tensor:
    return x @ layer["weight"] + layer["bias"]


def torch_mlp(params: Any, x: torch.Tensor) -> torch.Tensor:
    for layer in params["layers"][:-1]:
        x = F.relu(dense(layer, x))
    return dense(params["layers"][-1], x)


def torch_cnn(params: Any, x: torch.Tensor) -> torch.Tensor:
    x = x.permute(0, 3, 1, 2)
    for layer in params["layers"]:
        depth = x.shape[1]
        kernel = layer["weight"].reshape(3, 3, depth, -1).permute(3, 2, 0, 1)
        x = F.max_pool2d(F.relu(F.conv2d(x, kernel, layer["bias"], padding=1)), 2)
    return dense(params["readout"], x.permute(0, 2, 3, 1).reshape(x.shape[0], -1))


def torch_gru(params: Any, x: torch.Tensor) -> torch.Tensor:
    (layer,) = params["layers"]
    width = layer["hidden"].shape[0]
    drive = F.one_hot(x.squeeze(-1), layer["input"].shape[0]).to(layer["input"].dtype) @ layer["input"] + layer["bias"]
    h = torch.zeros(x.shape[0], width)
    outputs = []
    for t in range(x.shape[1]):
        r_in, z_in, n_in = drive[:, t].split(width, dim=-1)
        r_own, z_own, n_own = (h @ layer["hidden"]).split(width, dim=-1)
        r, z = torch.sigmoid(r_in + r_own), torch.sigmoid(z_in + z_own)
        n = torch.tanh(n_in + r * (n_own + layer["bias_new"]))
        h = n + z * (h - n)
        outputs.append(h)
    return dense(params["readout"], torch.stack(outputs, dim=1))


def torch_transformer(params: Any, tokens: torch.Tensor, heads: int = 4) -> torch.Tensor:
    count, positions = tokens.shape[:2]
    x = params["embed"][tokens.reshape(count, positions)] + params["position"]
    (block,) = params["blocks"]
    width = x.shape[-1]
    q, k, v = (
        (part @ block[which]).reshape(count, -1, heads, width // heads).transpose(1, 2)
        for which, part in (("query", x[:, -1:]), ("key", x), ("value", x))
    )
    # Written out: the fused operator has no rule under vmap, which would make the packed column slower than it need be.
    pattern = torch.softmax(q @ k.transpose(-1, -2) / (width // heads) ** 0.5, dim=-1)
    read = (pattern @ v).transpose(1, 2).reshape(count, 1, width)
    x = x[:, -1:] + read @ block["out"]
    x = x + dense(block["down"], F.relu(dense(block["up"], x)))
    return dense(params["readout"], x)[:, -1]


TORCH = {"MLP 7-40-40-1": torch_mlp, "CNN 8-16, digits": torch_cnn, "GRU 32, 10 steps": torch_gru}
TORCH["transformer d=64, mod 31"] = torch_transformer


def workloads(quick: bool) -> list[Workload]:
    parity = build_target("boolean", rule="parity", bits=7, k=3, train_fraction=1.0)
    digits = build_target("digits")
    modular = build_target("modular", p=31)
    machine = build_target("sequence", task="Add_Mod_5")
    share = 8 if quick else 1
    return [
        Workload("MLP 7-40-40-1", build("mlp", parity.interface, widths=(40, 40)), parity, 128, 128, 1000 // share),
        Workload(
            "transformer d=64, mod 31",
            build("transformer", modular.interface, d_model=64, d_mlp=128),
            modular,
            480,
            2,
            800 // share,
        ),
        Workload(
            "CNN 8-16, digits",
            build("convolutional", digits.interface, channels=(8, 16)),
            digits,
            256,
            2,
            800 // share,
        ),
        Workload("GRU 32, 10 steps", build("recurrent", machine.interface, width=32), machine, 256, 2, 800 // share),
    ]


def bare_scan(work: Workload, width: int) -> Callable[[], Any]:
    rule, per_example = optax.adam(RATE), resolve_loss(work.loss)
    inputs, labels = jnp.asarray(work.inputs), jnp.asarray(work.labels)

    def one(key: Any) -> Any:
        params = work.network.init(key)

        def step(carry: Any, _: Any) -> Any:
            params, memory = carry
            loss, gradient = jax.value_and_grad(lambda p: per_example(work.network.apply(p, inputs), labels).mean())(
                params
            )
            updates, memory = rule.update(gradient, memory, params)
            return (optax.apply_updates(params, updates), memory), loss

        (params, _), losses = jax.lax.scan(step, (params, rule.init(params)), None, length=work.steps)
        return params, losses

    run = jax.jit(jax.vmap(one))
    keys = jax.random.split(jax.random.key(0), width)

    def all() -> Any:
        for _ in range(max(1, work.members // width)):
            out = run(keys)
        return jax.block_until_ready(out)

    return all


def torch_loss(work: Workload, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    if work.loss == "cross_entropy":
        return F.cross_entropy(outputs.reshape(-1, outputs.shape[-1]), labels.reshape(-1))
    return F.binary_cross_entropy_with_logits(outputs.reshape(-1), labels.reshape(-1))


def torch_data(work: Workload) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, labels = torch.tensor(work.inputs), torch.tensor(work.labels)
    inputs = inputs.float() if inputs.is_floating_point() else inputs
    return inputs, labels if work.loss == "cross_entropy" else labels.float()


def torch_sequential(params: Any) -> torch.nn.Sequential:
    """The MLP as PyTorch's users write it."""
    layers: list[torch.nn.Module] = []
    for layer in params["layers"]:
        linear = torch.nn.Linear(*layer["weight"].shape)
        linear.load_state_dict({"weight": layer["weight"].detach().T, "bias": layer["bias"].detach()})
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def torch_loop(work: Workload, start: Any, steps: int) -> list[float]:
    """One network by `torch.optim`; its loss before each step."""
    inputs, labels = torch_data(work)
    leaves, structure = jax.tree.flatten(torch_tree(start))
    for leaf in leaves:
        leaf.requires_grad_(True)
    params, losses = jax.tree.unflatten(structure, leaves), []
    model = torch_sequential(params) if work.name.startswith("MLP") else lambda x: TORCH[work.name](params, x)
    optimiser = torch.optim.Adam(model.parameters() if isinstance(model, torch.nn.Module) else leaves, lr=RATE)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = torch_loss(work, model(inputs), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    return [float(loss) for loss in losses]


def torch_vmap(work: Workload, start: Any, width: int, steps: int) -> list[float]:
    """A pack by `torch.func`; the first member's loss before each step."""
    inputs, labels = torch_data(work)
    leaves, structure = jax.tree.flatten(torch_tree(start))
    stacked = [leaf.expand(width, *leaf.shape).clone() for leaf in leaves]
    first, second = [torch.zeros_like(s) for s in stacked], [torch.zeros_like(s) for s in stacked]

    def loss(leaves: list[torch.Tensor]) -> torch.Tensor:
        return torch_loss(work, TORCH[work.name](jax.tree.unflatten(structure, leaves), inputs), labels)

    gradient = torch.func.vmap(torch.func.grad_and_value(loss))
    losses = []
    for step in range(1, steps + 1):
        gradients, values = gradient(stacked)
        with torch.no_grad():
            torch._foreach_lerp_(first, list(gradients), 0.1)
            torch._foreach_mul_(second, 0.999)
            torch._foreach_addcmul_(second, list(gradients), list(gradients), 0.001)
            root = torch._foreach_sqrt(second)
            torch._foreach_div_(root, (1 - 0.999**step) ** 0.5)
            torch._foreach_add_(root, 1e-8)
            torch._foreach_addcdiv_(stacked, first, root, -RATE / (1 - 0.9**step))
        losses.append(values[0])
    return [float(loss) for loss in losses]


def check_equal(work: Workload) -> float:
    """Largest difference of the losses of the first ten steps between the four; the start is the same."""
    start = work.network.init(jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 0), 0))
    steps = 10
    run = explore(work.problem, "adam", 1, steps=steps, record=Recording(records=steps + 1))
    ours = run.curves["train_loss"][0][:steps]
    others = [torch_loop(work, start, steps), torch_vmap(work, start, 2, steps)]
    return max(float(np.abs(ours - np.array(other)).max()) for other in others)


def flops_of_a_step(work: Workload) -> float:
    """What XLA counts for one loss and gradient of one member."""
    per_example = resolve_loss(work.loss)

    def loss(params: Any) -> Any:
        return per_example(work.network.apply(params, jnp.asarray(work.inputs)), jnp.asarray(work.labels)).mean()

    params = work.network.init(jax.random.key(0))
    counted = jax.jit(jax.value_and_grad(loss)).lower(params).compile().cost_analysis()
    return float(counted["flops"])


def timed(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def measure(work: Workload, matrix: Any, product: Any, rounds: int) -> dict[str, Any]:
    start = work.network.init(jax.random.key(0))
    width = pack_width(work.network, start, work.inputs, work.members)
    adam = Adam(learning_rate=RATE)

    def ours(first: int = 0, members: int = work.members) -> Any:
        chosen = range(first, first + members)
        return explore(work.problem, adam, chosen, steps=work.steps, record=Recording(memory=2**32, pack=width))

    bare = bare_scan(work, width)
    compile_seconds = timed(lambda: ours(members=width))
    bare_compile = timed(bare)
    few = max(2, min(200, work.steps // 4))
    torch_loop(work, start, 3)
    packs = [4, 16, 64] if work.members >= 64 else [4, 16]
    for size in packs:
        torch_vmap(work, start, size, 2)
    times: dict[str, list[float]] = {name: [] for name in ("ours", "bare", "loop", "product", *map(str, packs))}
    for turn in range(rounds):
        times["product"].append(timed(lambda: [product(matrix).block_until_ready() for _ in range(5)]) / 5)
        times["ours"].append(timed(lambda: ours(turn * work.members)) / (work.members * work.steps))  # noqa: B023
        times["bare"].append(timed(bare) / (max(1, work.members // width) * width * work.steps))
        times["loop"].append(timed(lambda: torch_loop(work, start, few)) / few)
        for size in packs:
            short = max(2, few // 8)
            times[str(size)].append(timed(lambda: torch_vmap(work, start, size, short)) / (short * size))  # noqa: B023
    middle = {name: median(values) for name, values in times.items()}
    best_pack = min(packs, key=lambda size: middle[str(size)])
    flops = flops_of_a_step(work)
    peak = 2 * matrix.shape[0] ** 3 / middle["product"]
    return {
        "workload": work.name,
        "members": rounds * work.members,
        "steps": work.steps,
        "examples": len(work.inputs),
        "pack": width,
        "microseconds_per_member_step": {
            "allroads": middle["ours"] * 1e6,
            "bare JAX scan": middle["bare"] * 1e6,
            "PyTorch loop": middle["loop"] * 1e6,
            f"PyTorch vmap {best_pack}": middle[str(best_pack)] * 1e6,
        },
        "times_faster_than_loop": middle["loop"] / middle["ours"],
        "times_faster_than_vmap": middle[str(best_pack)] / middle["ours"],
        "times_bare_scan": middle["ours"] / middle["bare"],
        "share_of_peak": flops / middle["ours"] / peak,
        "bare_share_of_peak": flops / middle["bare"] / peak,
        "megaflops_per_step": flops / 1e6,
        "peak_gigaflops_per_second": peak / 1e9,
        "compile_seconds": compile_seconds - middle["ours"] * width * work.steps,
        "bare_compile_seconds": bare_compile - middle["bare"] * work.members * work.steps,
        "largest_difference_of_losses": check_equal(work),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="an eighth of the steps, two rounds; writes nothing")
    quick = parser.parse_args().quick
    matrix = jnp.asarray(np.random.default_rng(0).normal(size=(2048, 2048)).astype(np.float32))
    product = jax.jit(lambda a: a @ a)
    product(matrix).block_until_ready()
    rows = []
    header = (
        f"{'workload':26}{'µs/member-step':>15}{'× loop':>8}{'× vmap':>8}{'/ bare':>8}{'of peak':>9}{'compile s':>11}"
    )
    print(header)
    for work in workloads(quick):
        row = measure(work, matrix, product, 2 if quick else ROUNDS)
        rows.append(row)
        print(
            f"{row['workload']:26}{row['microseconds_per_member_step']['allroads']:15.1f}"
            f"{row['times_faster_than_loop']:8.1f}{row['times_faster_than_vmap']:8.1f}{row['times_bare_scan']:8.2f}"
            f"{row['share_of_peak']:9.0%}{row['compile_seconds']:11.1f}",
            flush=True,
        )
    print(json.dumps(rows, indent=1))
    if not quick:
        path = Path(__file__).parent / "results" / "packed_training.json"
        path.write_text(json.dumps({"command": "python benchmarks/packed_training.py", "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
