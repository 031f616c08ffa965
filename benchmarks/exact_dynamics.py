"""Explorers beside dynamics whose law is known exactly.

    python benchmarks/exact_dynamics.py                 # resumes; writes benchmarks/results/exact_dynamics.json
    python benchmarks/exact_dynamics.py --only order signs

Four tables. ``order``: gradient descent on three linear modes, the order of their escape beside Plackett's and Luce's
law. ``langevin``: mean times of escape of a diagonal network of depth 3 beside the law of Eyring and Kramers.
``sgd``: mean times of escape under the noise of a mean-square loss beside the law of the logarithmic barrier.
``signs``: output weights whose sign gradient flow cannot change. A cell that has a row is left out.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import jax.numpy as jnp
import numpy as np
from exact_worlds import (
    END,
    STRENGTHS,
    Circle,
    FreshSGD,
    Mode,
    MultiplicativeNoise,
    Stopped,
    mean_time,
    plackett_luce,
    slope,
    strongest_first,
)

from allroads import GD, SGLD, Adam, Network, Problem, Recording, SamplerExplorer, explore, per_member
from allroads.explorers.per_member import member_rule

RESULT = Path(__file__).parent / "results" / "exact_dynamics.json"
# --- the order of escape: a_i = u_i v_i with u = v, L = ½ Σ (s_i − a_i)²


def escape_order(members: int, cut: float = 1e-4, rate: float = 0.005, steps: int = 2600) -> dict[str, Any]:
    """Gradient descent from balanced starts ``a_i(0) ~ U(0, cut)``: shares of orders, at the cut and at half height."""
    network = Network(lambda key: {"u": jnp.zeros(3), "v": jnp.zeros(3)}, lambda p, x: x * (p["u"] * p["v"]))
    problem = Problem(network, lambda f, y: jnp.sum((f - y) ** 2, axis=1) / 2, np.ones((1, 3)), np.array([STRENGTHS]))
    starts = np.sqrt(np.random.default_rng(0).uniform(0, cut, size=(members, 3)))
    times: dict[str, list[np.ndarray]] = {"cut": [], "half": []}
    for first in range(0, members, 10_000):
        part = starts[first : first + 10_000]
        run = explore(problem, GD(learning_rate=rate), len(part), steps=steps, start={"u": part, "v": part},
            record=Recording(records=400, checkpoints=2, pack=1024))  # fmt: skip
        a = run.values[:, :, 0].astype(float)
        logit = np.log(a / np.maximum(np.array(STRENGTHS) - a, 1e-12))  # of a flow, linear in time
        for name, level in (("cut", cut), ("half", None)):
            goal = np.zeros(3) if level is None else np.log(level / (np.array(STRENGTHS) - level))
            times[name].append(_crossing(run.steps.astype(float), logit, goal))
    found: dict[str, Any] = {"members": members, "cut": cut, "learning_rate": rate, "steps": steps, "orders": {}}
    for name, parts in times.items():
        order = np.argsort(np.concatenate(parts), axis=1)
        shares = {p: float((order == p).all(1).mean()) for p in itertools.permutations(range(3))}
        found["orders"][name] = {"".join("321"[i] for i in p): share for p, share in shares.items()}
        found[f"first at {name}"] = [float((order[:, 0] == i).mean()) for i in range(3)]
    found["law"] = {"".join("321"[i] for i in p): plackett_luce(p, STRENGTHS) for p in itertools.permutations(range(3))}
    found["law of strongest first at half"] = strongest_first(cut)
    return found


def _crossing(steps: np.ndarray, curves: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """When each mode first passes its goal, interpolated; infinite where it does not. ``[members, modes]``"""
    passed = curves >= goal
    at = np.maximum(passed.argmax(1), 1)
    low, high = (np.take_along_axis(curves, k[:, None], 1)[:, 0] for k in (at - 1, at))
    time_ = steps[at - 1] + (steps[at] - steps[at - 1]) * (goal - low) / np.maximum(high - low, 1e-12)
    return np.where(passed.any(1), time_, np.inf)


# --- Langevin dynamics on one mode of depth 3: V(w) = ½ (w₁w₂w₃ − s)² + λ/2 ‖w‖², |w_i| = u at critical points


LANGEVIN = [
    *(("on", 1.0, 0.3, b, m, 0.02) for b, m in ((4, 4096), (5, 4096), (6, 2048), (7, 2048))),
    *(("off", 1.0, 0.45, b, m, 0.0225) for b, m in ((4, 1024), (5, 1024), (6, 512))),
    ("on", 1.0, 0.3, 8, 512, 0.02),
    *(("on", 2.0, 0.3, b, m, 0.02) for b, m in ((4, 2048), (5, 1024), (6, 1024), (7, 512))),
    *(("on", 1.0, 0.3, 5, 4096, step) for step in (0.04, 0.01)),
]
LANGEVIN_MORE = [
    *(("on", 1.2, 0.3, b, m, 0.02) for b, m in ((4, 2048), (5, 1024), (6, 1024), (7, 512))),
    ("off", 1.0, 0.45, 7, 512, 0.0225),
    ("on", 1.0, 0.3, 9, 512, 0.02),
    ("on", 2.0, 0.3, 8, 512, 0.02),
]
"""Way, s, λ, barrier over temperature, members, step in units of 1/λ; the second list is for `--full`."""
INNER = 20


def seed_of(*case: Any) -> int:
    """A seed of its own for each cell, so that their errors are independent."""
    return zlib.crc32(str(case).encode())


def langevin(way: str, s: float, decay: float, ratio: float, members: int, step: float) -> dict[str, Any]:
    """Mean time of escape of ``sgld`` on all examples, with random signs. Runs last 1.5 times the law's mean."""
    mode = Mode(s, decay)
    temperature, h = mode.barrier(way) / ratio, step / decay
    expected, on = mode.prefactor(way) * math.exp(ratio), mode.roots[1]

    def there(product: Any) -> Any:
        return product >= on**3 / 2 if way == "on" else abs(product) <= on**3 / 20

    chain = SamplerExplorer(SGLD(step_size=2 * h * temperature), nbeta=1 / temperature, localisation=0.0, steps=INNER)
    explorer = per_member(Stopped(member_rule(chain), lambda w: there(jnp.prod(w))), name="stopped sgld")
    steps = math.ceil(1.5 * expected / (h * INNER))
    start = np.full((members, 3), 0.0 if way == "on" else on)
    seed = seed_of(way, s, decay, ratio, members, step)
    run = explore(mode.problem(), explorer, members, steps=steps, seed=seed, start=start,
        record=Recording(records=64, checkpoints=2, pack=members))  # fmt: skip
    escaped = np.asarray(there(run.values[:, :, 0, 0]))
    found, error = mean_time(run.steps * h * INNER, escaped)
    return {"temperature": temperature, "barrier": mode.barrier(way), "mean_time": found, "log_error": error,
        "law": expected, "escaped": int(escaped[:, -1].sum()), "steps": steps * INNER}  # fmt: skip


# --- the noise of a mean-square loss: a point on a circle of radius 1, L(θ) = 1 − cos θ + ℓ with ℓ = σ²/2


SGD_CASES = [
    *(("equation", 8.0, barrier, 512, 0.02) for barrier in (0.5, 0.6, 0.7, 0.8)),
    *(("examples", 8.0, barrier, 512, 0.125) for barrier in (0.5, 0.6, 0.7, 0.8, 0.9)),
    *(("examples", 16.0, barrier, 512, 0.0625) for barrier in (0.3, 0.35, 0.4)),
    *(("examples of share 0.25", 8.0, barrier, 512, 0.125) for barrier in (0.4, 0.5, 0.6, 0.7, 0.8)),
    *(("equation", k, 0.7, 512, 0.02) for k in (6.0, 10.0)),
    ("equation", 8.0, 0.7, 512, 0.01),
]
SGD_MORE = [
    ("equation", 8.0, 0.9, 512, 0.02),
    ("examples", 8.0, 1.0, 512, 0.125),
    ("examples", 16.0, 0.45, 512, 0.0625),
]
"""Kind, k = B/η, barrier of log L, members, step in time; the second list is for `--full`."""


def circle_of(kind: str, k: float, barrier: float) -> Circle:
    """The regression of one case."""
    share = float(kind.rpartition(" ")[2]) if " " in kind else 0.75
    return Circle(2 / math.expm1(barrier), k, kind == "equation", share)


def sgd(kind: str, k: float, barrier: float, members: int, dt: float) -> dict[str, Any]:
    """Mean time of escape to ±3π/2 under the noise of the theory, or of examples drawn one by one."""
    circle = circle_of(kind, k, barrier)
    rule = MultiplicativeNoise(circle, dt) if kind == "equation" else FreshSGD(circle)
    explorer = per_member(Stopped(rule, lambda w: abs(w[0]) >= END), name=kind)
    expected = circle.mean_time()
    if circle.share != 0.75:
        expected = math.pi * math.exp(k * circle.action() + barrier / 2)
    steps = math.ceil(1.5 * expected / dt)
    start, record = np.zeros((members, 1)), Recording(records=64, checkpoints=64, pack=members)
    seed = seed_of(kind, k, barrier, members, dt)
    run = explore(circle.problem(), explorer, members, steps=steps, seed=seed, start=start, record=record)
    escaped = np.abs(run.params[:, :, 0]) >= END
    found, error = mean_time(run.checkpoint_steps * dt, escaped)
    return {"floor": circle.floor, "mean_time": found, "log_error": error, "law": circle.mean_time(),
        "formula": circle.formula(), "linear": 2 * k / circle.floor, "escaped": int(escaped[:, -1].sum()),
        "steps": steps}  # fmt: skip


# --- signs that gradient flow cannot change: f = Σ a_k ReLU(w_k·x), ‖w_k‖² − a_k² is conserved


def signs(name: str, members: int, steps: int = 4000, hidden: int = 4) -> dict[str, Any]:
    """Starts with all a_k > ‖w_k‖ and a target that needs a_k < 0, ``−ReLU(x₁)``: who changes a sign, and who fits."""
    explorers = {
        "gd, rate 0.01": GD(learning_rate=0.01),
        "adam, rate 0.01": Adam(learning_rate=0.01),
        "sgld, nβ 2000": SamplerExplorer(SGLD(step_size=1e-5), nbeta=2000.0, localisation=0.0, steps=1),
    }
    network = Network(lambda key: {"a": jnp.zeros(hidden), "w": jnp.zeros((2, hidden))},
        lambda p, x: jax.nn.relu(x @ p["w"]) @ p["a"][:, None])  # fmt: skip
    angle = np.arange(16) * np.pi / 8 + 0.1
    inputs = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    problem = Problem(network, "mse", inputs, -np.maximum(inputs[:, :1], 0))
    rng = np.random.default_rng(0)
    w = rng.normal(size=(members, 2, hidden)) * 0.3
    a = np.sqrt((w**2).sum(1) + rng.uniform(0.05, 0.3, size=(members, hidden)))
    run = explore(problem, explorers[name], members, steps=steps, start={"a": a, "w": w},
        record=Recording(records=129, checkpoints=129, pack=256))  # fmt: skip
    path = run.params
    conserved = (path["w"] ** 2).sum(2) - path["a"] ** 2
    return {"members": members, "steps": steps,
        "changed a sign": int((path["a"] <= 0).any((1, 2)).sum()),
        "mean square below 0.01": int((run.curves["train_loss"].min(1) < 0.01).sum()),
        "least mean square": float(run.curves["train_loss"].min()),
        "largest change of the invariant": float(np.abs(conserved - conserved[:, :1]).max()),
        "least margin at the start": float(-conserved[:, 0].max())}  # fmt: skip


SIGNS = ("gd, rate 0.01", "adam, rate 0.01", "sgld, nβ 2000")


# --- the tables


def cells(members: int, full: bool) -> dict[str, dict[str, Callable[[], dict[str, Any]]]]:
    """All cells by table and name."""
    found: dict[str, dict[str, Callable[[], dict[str, Any]]]] = {"order": {"all": lambda: escape_order(members)}}
    found["signs"] = {name: partial(signs, name, 1024) for name in SIGNS}
    found["langevin"] = {str(case): partial(langevin, *case) for case in LANGEVIN + LANGEVIN_MORE * full}
    found["sgd"] = {str(case): partial(sgd, *case) for case in SGD_CASES + SGD_MORE * full}
    return found


def summarise(rows: dict[str, Any]) -> dict[str, Any]:
    """Slopes of the logarithm of the mean time with their standard errors, from the rows that exist."""
    found: dict[str, Any] = {}

    def add(name: str, group: list[tuple[float, dict[str, Any]]], laws: tuple[str, ...]) -> None:
        if len(group) < 3:
            return
        x, errors = np.array([at for at, _ in group]), np.array([row["log_error"] for _, row in group])
        value, error = slope(x, np.log([row["mean_time"] for _, row in group]), errors)
        found[name] = {"slope": value, "error": error}
        for law in laws:
            found[name][f"slope of {law}"] = slope(x, np.log([row[law] for _, row in group]), errors)[0]

    for way, s, decay in (("on", 1.0, 0.3), ("on", 1.2, 0.3), ("on", 2.0, 0.3), ("off", 1.0, 0.45)):
        chosen = [c for c in LANGEVIN + LANGEVIN_MORE if c[:3] == (way, s, decay) and c[5] in (0.02, 0.0225)]
        group = [(c[3], rows["langevin"][str(c)]) for c in chosen if str(c) in rows.get("langevin", {})]
        add(f"langevin {way} s={s} λ={decay}: log time against ΔV/T (law 1)", group, ())
    sets = [("equation", 8.0, 0.02), ("examples", 8.0, 0.125), ("examples", 16.0, 0.0625)]
    for kind, k, dt in [*sets, ("examples of share 0.25", 8.0, 0.125)]:
        chosen = [c for c in SGD_CASES + SGD_MORE if c[:2] == (kind, k) and c[4] == dt]
        group = [(c[2], rows["sgd"][str(c)]) for c in chosen if str(c) in rows.get("sgd", {})]
        actions = [(at, row | {"action": math.exp(k * circle_of(kind, k, at).action() + at / 2)}) for at, row in group]
        add(f"sgd {kind} k={k}: log time against the barrier of log L", actions, ("law", "formula", "action"))
    return found


def main() -> None:
    """Fill in what is missing, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=["order", "signs", "langevin", "sgd"])
    parser.add_argument("--members", type=int, default=100_000, help="runs of the table `order`")
    parser.add_argument("--full", action="store_true", help="the longer cells too, some five minutes more")
    options = parser.parse_args()
    stored = json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else {"rows": {}}
    rows = stored["rows"]
    for table, todo in cells(options.members, options.full).items():
        if table not in options.only:
            continue
        for name, compute in todo.items():
            if name in rows.setdefault(table, {}):
                continue
            began = time.process_time()
            rows[table][name] = compute() | {"cpu_seconds": round(time.process_time() - began, 1)}
            print(table, name, json.dumps(rows[table][name], ensure_ascii=False), flush=True)
            result = {"command": "python benchmarks/exact_dynamics.py", "rows": rows, "summary": summarise(rows)}
            RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    for name, found in summarise(rows).items():
        print(name, found)


if __name__ == "__main__":
    main()
