"""A recorder in training loops of PyTorch, JAX, Flax and Equinox; what is read back is what was there."""

from __future__ import annotations

import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, Problem, Trajectory
from allroads.explorers.recorder import Recorder

RNG = np.random.default_rng(0)
NO_TORCH = "the extra `torch` is not installed: pip install 'allroads[torch]'"


def convolutional(torch):
    """Images of 6 × 6 in two channels, batch norm in evaluation mode after the first steps."""
    nn = torch.nn
    head = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    rng = np.random.default_rng(1)
    images, labels = rng.normal(size=(24, 2, 6, 6)).astype("f4"), rng.integers(0, 3, 24)
    return nn.Sequential(*head, nn.Linear(36, 3)), images, labels, nn.functional.cross_entropy


def transformer(torch):
    """One block of attention on sums modulo 5; the position embedding is a bare parameter."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.position = nn.Embedding(6, 8), nn.Parameter(torch.randn(3, 8) * 0.1)
            self.qkv, self.out, self.read = nn.Linear(8, 24, bias=False), nn.Linear(8, 8), nn.Linear(8, 5, bias=False)

        def forward(self, tokens):
            x = self.embed(tokens) + self.position
            q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in self.qkv(x).split(8, dim=-1))
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
            return self.read(x + self.out(mixed))[:, -1]

    pairs = np.stack(np.meshgrid(np.arange(5), np.arange(5)), -1).reshape(-1, 2)
    tokens = np.concatenate([pairs, np.full((25, 1), 5)], axis=1)
    return Block(), tokens, pairs.sum(1) % 5, nn.functional.cross_entropy


def recurrent(torch):
    """Running parity of four bits by an LSTM, one logit per position."""
    nn = torch.nn

    class Parity(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.read = nn.LSTM(1, 5, batch_first=True), nn.Linear(5, 1)

        def forward(self, x):
            return self.read(self.lstm(x)[0])

    bits = (np.arange(16)[:, None] >> np.arange(4) & 1).astype("f4")[..., None]
    return Parity(), bits, (np.cumsum(bits, 1) % 2).astype("f4"), nn.functional.binary_cross_entropy_with_logits


@pytest.mark.parametrize("make", [convolutional, transformer, recurrent])
def test_a_pytorch_loop_is_read_back_as_pytorch_computes_it(tmp_path, capsys, make):
    torch = pytest.importorskip("torch", reason=NO_TORCH)
    from allroads import from_torch

    losses, outputs = {}, {}
    for seed in range(2):
        torch.manual_seed(seed)
        module, inputs, labels, loss = make(torch)
        x, y = torch.tensor(inputs), torch.tensor(labels)
        optimiser = torch.optim.AdamW(module.parameters(), 1e-2)
        with Recorder(tmp_path / f"seed{seed}", probes=x[:7], steps=30) as recorder:
            for step in range(31):
                module.eval()
                if recorder.due(step):
                    with torch.no_grad():
                        outputs[seed, step] = module(x[:7]).numpy()
                        losses[seed, step] = float(loss(module(x), y))
                recorder.save(module, step)
                module.train()
                optimiser.zero_grad()
                loss(module(x), y).backward()
                optimiser.step()
        printed = capsys.readouterr().out
        assert re.search(r"recorder: 31 checkpoints \(.* MiB\) in .*; \d+\.\d\d s, \d+\.\d% of", printed)
    network, params = from_torch(module.eval(), x[:2], running_statistics="params")
    name = "bce" if make is recurrent else "cross_entropy"
    run = Trajectory.from_checkpoints(
        network,
        tmp_path,
        problem=Problem(network, name, inputs, labels),
        held_out=(inputs[:4], labels[:4]),
        like=params,
    )
    assert run.steps.tolist() == list(range(31)) and run.members.tolist() == [0, 1] and run.status == "ok"
    for (seed, step), expected in outputs.items():
        np.testing.assert_allclose(run.values[seed, step], expected, atol=2e-5)
        assert run.curves["train_loss"][seed, step] == pytest.approx(losses[seed, step], rel=1e-4, abs=1e-6)
    assert run.value.mean() < run.curves["train_loss"][:, 0].mean()


def test_running_statistics_that_move_are_not_taken_for_constants(tmp_path):
    torch = pytest.importorskip("torch", reason=NO_TORCH)
    from allroads import from_torch

    module, inputs, _, _ = convolutional(torch)
    recorder = Recorder(tmp_path)
    for step in range(2):
        recorder.save(module, step)
        module.train()(torch.tensor(inputs))
    network, _ = from_torch(module.eval(), torch.tensor(inputs[:2]))
    with pytest.raises(InputError, match=r"running_mean changes along the run.*running_statistics='params'"):
        Trajectory.from_checkpoints(network, tmp_path)


def descend(loss, params, recorder, steps=9):
    seen = []
    for step in range(steps):
        if recorder.save(params, step):
            seen.append(params)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(loss)(params))
    return seen


def test_a_jax_loop(tmp_path):
    x, y = RNG.normal(size=(6, 2)).astype("f4"), RNG.normal(size=(6, 1)).astype("f4")
    network = Network(lambda key: [{"w": jnp.ones((2, 1))}, jnp.zeros(1)], lambda p, x: x @ p[0]["w"] + p[1])
    problem = Problem(network, "mse", x, y)
    seen = descend(problem.mean, network.init(None), Recorder(tmp_path, probes=x))
    run = Trajectory.from_checkpoints(network, tmp_path, problem=problem)
    assert run.steps.tolist() == list(range(9)) and jax.tree.structure(run.end(0)) == jax.tree.structure(seen[0])
    for k, params in enumerate(seen):
        np.testing.assert_allclose(run.values[0, k], network.apply(params, x), rtol=1e-6)
        assert run.curves["train_loss"][0, k] == pytest.approx(float(problem.mean(params)), rel=1e-6)


def test_an_equinox_loop(tmp_path):
    import equinox as eqx

    from allroads import from_equinox

    x = RNG.normal(size=(6, 2)).astype("f4")
    module = eqx.nn.MLP(2, 1, width_size=3, depth=1, key=jax.random.key(0))
    network, params = from_equinox(module)
    recorder = Recorder(tmp_path, probes=x)
    recorder.save(module, 0)
    moved = jax.tree.map(lambda leaf: 2 * leaf if eqx.is_inexact_array(leaf) else leaf, module)
    recorder.save(moved, 1)
    run = Trajectory.from_checkpoints(network, tmp_path, like=params)
    for k, own in enumerate((module, moved)):
        np.testing.assert_allclose(run.values[0, k], jax.vmap(own)(x), rtol=1e-5)


def test_a_flax_loop(tmp_path):
    linen = pytest.importorskip("flax.linen", reason="flax is not installed: pip install flax")
    x = RNG.normal(size=(6, 2)).astype("f4")
    module = linen.Dense(3)
    network = Network(lambda key: module.init(key, x[:1]), module.apply)
    seen = descend(lambda p: (module.apply(p, x) ** 2).mean(), network.init(jax.random.key(0)), Recorder(tmp_path))
    run = Trajectory.from_checkpoints(network, tmp_path, probes=x)
    for k, params in enumerate(seen):
        np.testing.assert_allclose(run.values[0, k], module.apply(params, x), rtol=1e-5)


def test_a_flax_nnx_loop(tmp_path):
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed: pip install flax")
    x = RNG.normal(size=(6, 2)).astype("f4")
    module = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    graph, params = nnx.split(module, nnx.Param)
    network = Network(lambda key: params, lambda p, x: nnx.merge(graph, p)(x))
    recorder = Recorder(tmp_path, probes=x)
    recorder.save(nnx.state(module, nnx.Param), 0)
    run = Trajectory.from_checkpoints(network, tmp_path)
    np.testing.assert_allclose(run.values[0, 0], module(x), rtol=1e-5)


# --- when it saves, and what it refuses


def w(value=1.0, size=2):
    return {"w": np.full(size, value)}


def saved(recorder, steps):
    """The steps at which a recorder says that it saves, and does."""
    due = []
    for step in steps:
        due += [step] * recorder.due(step)
        assert recorder.save(w(float(step)), step) == (step in due)
    return due


def test_steps_are_spaced_evenly_in_their_logarithm(tmp_path):
    open_ended = saved(Recorder(tmp_path / "a"), range(5000))
    assert open_ended[:13] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16] and len(open_ended) == 46
    assert np.diff(np.log2(open_ended[16:])) == pytest.approx(0.25, abs=0.04)
    known = saved(Recorder(tmp_path / "b", steps=5000), range(5001))
    assert known[0] == 0 and known[-1] == 5000 and len(known) <= 64
    assert saved(Recorder(tmp_path / "c", steps=[3, 40]), range(50)) == [0, 3, 40]
    coarse = saved(Recorder(tmp_path / "d", steps=5000), range(0, 5001, 100))  # the first that comes after a due one
    assert coarse[:3] == [0, 100, 200] and coarse[-1] == 5000
    forced = Recorder(tmp_path / "f")
    saved(forced, range(9))
    assert forced.save(w(9.0), 9, always=True) and (tmp_path / "f" / "step9.safetensors").is_file()


def test_a_run_that_was_interrupted_is_taken_up(tmp_path):
    line = Network(lambda key: {"w": jnp.zeros(2)}, lambda p, x: x * p["w"])
    saved(Recorder(tmp_path, probes=np.ones((1, 2))), range(20))
    again = Recorder(tmp_path, probes=np.ones((1, 2)))
    for step in range(9, 15):  # from the loop's own checkpoint at step 9, on another branch
        again.save(w(100.0 + step), step)
    run = Trajectory.from_checkpoints(line, tmp_path)
    assert run.steps.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14]
    assert run.values[0, :, 0, 0].tolist() == [*range(9), 110.0, 112.0, 114.0]
    assert not list(tmp_path.glob("*.part"))


def test_what_would_mix_two_runs_is_refused(tmp_path):
    probes = np.ones((2, 2))
    recorder = Recorder(tmp_path, probes=probes)
    saved(recorder, range(4))
    with pytest.raises(InputError, match="expected one above 3"):
        recorder.save(w(), 3)
    with pytest.raises(InputError, match="not those of the last checkpoint, first at 'w'"):
        recorder.save(w(size=3), 4)
    with pytest.raises(InputError, match="step: expected a whole number"):
        recorder.save(w(), 5.5)
    probes[0, 0] = 7.0
    with pytest.raises(InputError, match="probes: they changed"):
        recorder.save(w(), 6)
    with pytest.raises(InputError, match="recorded with other probes"):
        Recorder(tmp_path, probes=probes)
    with pytest.raises(InputError, match="other probes"):
        Recorder(tmp_path)
    with pytest.raises(InputError, match="already holds a run up to step 3"):
        Recorder(tmp_path, probes=np.ones((2, 2))).save(w(), 0)
    saved(Recorder(tmp_path / "bare"), range(2))
    with pytest.raises(InputError, match="recorded with no probes"):
        Recorder(tmp_path / "bare", probes=probes)
    with pytest.raises(InputError, match="steps"):
        Recorder(tmp_path / "new", steps=[-1])


def test_probes_that_differ_between_seeds_are_refused(tmp_path):
    line = Network(lambda key: {"w": jnp.zeros(2)}, lambda p, x: x * p["w"])
    for seed in range(2):
        Recorder(tmp_path / f"seed{seed}", probes=np.full((1, 2), seed)).save(w(), 0)
    with pytest.raises(InputError, match="seed1 was recorded with other probes than seed0"):
        Trajectory.from_checkpoints(line, tmp_path)


def test_pytorch_is_not_imported(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from allroads.explorers.recorder import Recorder\n"
        "with Recorder(sys.argv[1], probes=np.ones((1, 2))) as r: r.save({'w': np.ones(2)}, 0)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("recorder: 1 checkpoint (")


def test_a_recorder_that_is_closed_or_shown_nonsense_says_so(tmp_path, capsys):
    with pytest.raises(InputError, match="probes: NaN or infinite"):
        Recorder(tmp_path / "a", probes=np.array([[np.nan]]))
    recorder = Recorder(tmp_path / "b", steps=8)
    for step in range(5):
        recorder.save({"w": np.full(2, float(step))}, step)
    recorder.close()
    with pytest.raises(InputError, match="this recorder is closed"):
        recorder.save({"w": np.zeros(2)}, 6)
    capsys.readouterr()
    Recorder(tmp_path / "b", steps=8).save({"w": np.zeros(2)}, 3)
    assert "is resumed at step 3; 2 later checkpoints are replaced" in capsys.readouterr().out


def test_a_seed_of_pickles_beside_one_of_safetensors_is_not_passed_over(tmp_path):
    Recorder(tmp_path / "seed1", steps=1).save({"w": np.zeros(2)}, 0)
    (tmp_path / "seed0").mkdir()
    (tmp_path / "seed0" / "step0.pt").write_bytes(b"PK\x03\x04")
    network = Network(lambda key: {"w": jnp.zeros(2)}, lambda p, x: x * p["w"])
    with pytest.raises(InputError, match="pickle"):
        Trajectory.from_checkpoints(network, tmp_path)
