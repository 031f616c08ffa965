"""What is compiled once is kept between processes, where the user has not said otherwise."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from allroads import compiled
from allroads.compiled import cache_folder, quickly_compiled, shrink

PROGRAM = """
import sys
{before}
import jax, jax.numpy as jnp
asked = []
jax.monitoring.register_event_listener(lambda event, **rest: asked.append(event.rsplit("/", 1)[-1]))
from allroads import Network, Problem
import numpy as np
{between}
line = Network(lambda key: jnp.zeros(8), lambda w, x: jnp.linalg.eigh(jnp.outer(w, w) + jnp.eye(8))[0] * x)
problem = Problem(line, "mse", np.ones((2, 8)), np.ones((2, 8)))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
print(float(jax.jit(problem.mean)(problem.point(np.ones(8)))))
print("folder", jax.config.values["jax_compilation_cache_dir"], "hits", asked.count("cache_hits"))
"""


def run(before="", between="", **environment):
    """Folder of JAX's cache, and programs that were found there, in a process that compiles one program."""
    held = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMPILATION")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(before=before, between=between)],
        env={**held, "JAX_PLATFORMS": "cpu", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    loss, told = done.stdout.splitlines()
    assert float(loss) == pytest.approx(64 / 8)  # eigenvalues 1, seven times, and 9
    folder, hits = re.fullmatch(r"folder (.*) hits (\d+)", told).groups()
    return folder, int(hits)


def test_a_second_process_finds_what_the_first_compiled(tmp_path):
    first, second = (run(ALLROADS_CACHE=str(tmp_path)) for _ in range(2))
    assert first[0] == second[0] and first[0].startswith(str(tmp_path))
    assert first[1] == 0 and second[1] > 0


def test_programs_are_kept_though_jax_has_compiled_before(tmp_path):
    run(between="jax.jit(lambda x: x + 1)(1.0)", ALLROADS_CACHE=str(tmp_path))
    assert any(path.is_file() for path in tmp_path.rglob("*mean*"))


@pytest.mark.slow
def test_what_the_user_set_stands_and_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    own = str(tmp_path / "own")
    (tmp_path / "file").write_text("no folder")
    folder = str(tmp_path / "cache")
    setting = f"import jax; jax.config.update('jax_compilation_cache_dir', {own!r})"
    assert run(before=setting, ALLROADS_CACHE=folder)[0] == own
    assert run(ALLROADS_CACHE=folder, JAX_COMPILATION_CACHE_DIR=own)[0] == own
    assert run(ALLROADS_CACHE=folder, JAX_ENABLE_COMPILATION_CACHE="false")[0] == "None"
    assert run(ALLROADS_CACHE="off")[0] == "None"
    assert run(ALLROADS_CACHE=str(tmp_path / "file" / "cache"))[0] == "None"
    assert not (tmp_path / "cache").exists()


def test_the_folder_is_the_users_cache_folder_unless_the_environment_says_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("ALLROADS_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "allroads"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "allroads"
    monkeypatch.setenv("ALLROADS_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.setenv("ALLROADS_CACHE", "off")
    assert cache_folder() is None


def test_the_oldest_files_go_first_and_only_where_there_is_too_much(tmp_path):
    for age in range(6):
        path = tmp_path / "sub" / f"{age}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 - age, 1000 - age))
    shrink(tmp_path, 600)
    assert len(list(tmp_path.rglob("?"))) == 6
    shrink(tmp_path, 599)
    assert sorted(path.name for path in tmp_path.rglob("?")) == ["0", "1"]


def test_programs_compiled_quickly_give_the_same_numbers():
    import jax
    import jax.numpy as jnp

    x = jnp.linspace(-2, 2, 24).reshape(4, 6)
    expected = np.tanh(np.asarray(x, np.float64)) @ np.asarray(x, np.float64).T
    found = jax.jit(lambda x: jnp.tanh(x) @ x.T, compiler_options=quickly_compiled())(x)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_gradient_of_many_functions_of_one_layer_is_right_where_it_is_compiled_quickly():
    """XLA without optimisation and with AVX-512 makes it wrong by 3 to 7 % of its largest entry."""
    import jax
    import jax.numpy as jnp

    import allroads

    def clipped(h, low, high):
        h = jnp.where(h < low, low, h)
        return jnp.where(h > high, high, h)

    def loss(weight, x):
        h = x @ weight
        s = 0.8 * jax.nn.sigmoid(h) + 0.1
        shifted = jax.lax.pad(jax.lax.pad(h, 0.0, [(0, 0, 0), (1, 0, 0)]), 0.0, [(0, 0, 0), (0, -1, 0)])
        share = clipped(s, -1.0, 2.0)
        rows = [jnp.arcsin(s), jnp.maximum(h, s), h + 0.3 * (s - h), jnp.logaddexp(h, s), 1 / s, 1 - h, shifted]
        values = jnp.concatenate([*rows, clipped(h, -0.5, 0.5), jnp.log(share / (1 - share))], 1)
        return (values * jnp.cos(jnp.arange(values.size)).reshape(values.shape)).sum(), values

    with allroads.float64():
        draw = np.random.default_rng(0)
        weight, x = jnp.asarray(draw.normal(size=(4, 6)) / 2), jnp.asarray(draw.normal(size=(3, 4)))
        steps = 1e-6 * np.eye(24).reshape(24, 4, 6)
        slopes = [(loss(weight + step, x)[0] - loss(weight - step, x)[0]) / 2e-6 for step in steps]
        found, _ = jax.jit(jax.grad(loss, has_aux=True), compiler_options=quickly_compiled())(weight, x)
    np.testing.assert_allclose(np.ravel(found), slopes, atol=1e-7)


def test_programs_of_an_accelerator_are_compiled_as_usual(monkeypatch):
    """The level of optimisation is not of processors alone."""
    import jax

    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    quickly_compiled.cache_clear()
    try:
        assert quickly_compiled() == {}
    finally:
        quickly_compiled.cache_clear()


def test_choices_that_xla_does_not_have_are_left_out(monkeypatch):
    monkeypatch.setattr(compiled, "QUICKLY", {"xla_cpu_no_such_choice": False})
    quickly_compiled.cache_clear()
    try:
        assert quickly_compiled() == {}
    finally:
        quickly_compiled.cache_clear()
