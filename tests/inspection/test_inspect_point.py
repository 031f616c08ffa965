"""An inspection against a line whose answer is known: least squares in four parameters, λ = 2 at its minimum."""

import json
import math

import jax
import numpy as np
import pytest
from own_networks import OFFSET, SLOPE
from safetensors.numpy import save_file

import allroads
from allroads.cli import point_request
from allroads.cli.point_request import Request
from allroads.report.point.terminal import as_json
from allroads.report.point.words import concerns, verdict
from command_in_process import allroads as allroads_here
from made_up_inspection import made_up

QUICK = ["--sampler", "sgld", "--nbeta", "1000", "--localisation", "1"]


@pytest.fixture
def line(here):
    """The working folder with the weights of the minimum for each kind of network; the module's name."""
    save_file({"w": SLOPE, "b": OFFSET}, "pair.safetensors")
    save_file({"weight": np.ascontiguousarray(SLOPE.T), "bias": OFFSET}, "module.safetensors")
    return here


def command(*words):
    """Exit code, standard output and error of ``allroads inspect``."""
    done = allroads_here("inspect", *words)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("factory", "weights"),
    [("torch_line", "module"), ("pair", "pair")],
)
def test_modules_and_functions_give_the_answer_of_least_squares(line, factory, weights, seed):
    """Curvature is exactly 2 XᵀX/n with a column of ones; by its quadratic the coefficient is near 2."""
    if factory == "torch_line":
        pytest.importorskip("torch", reason="a PyTorch module is inspected: pip install 'allroads[torch]'")
    words = ("--data", "data.npz", "--loss", "mse", "--weights", f"{weights}.safetensors", "--seed", seed, *QUICK)
    code, out, err = command(f"{line}:{factory}", *words, "--json")
    assert code == 0, err
    said = json.loads(out)
    inputs = np.load("data.npz")["inputs"]
    design = np.concatenate([inputs, np.ones((20, 1))], axis=1)
    hessian = np.linalg.eigvalsh(2 * design.T @ design / 20)[::-1]
    np.testing.assert_allclose(said["spectrum"]["eigenvalues"], hessian, rtol=1e-6)
    assert said["spectrum"]["trace"]["value"] == pytest.approx(hessian.sum(), rel=1e-6)
    expected = (hessian / (hessian + 1 / 1000)).sum() / 2
    assert said["spectrum"]["effective_dimension"]["value"] == pytest.approx(expected, rel=1e-6)
    assert said["llc"]["value"] == pytest.approx(expected, abs=3 * said["llc"]["error"])
    assert said["loss"] == pytest.approx(0, abs=1e-12) and said["gradient_norm"] == pytest.approx(0, abs=1e-6)
    assert (said["parameters"], said["examples"]) == (4, 20)
    assert said["origin"]["weights"] == f"{weights}.safetensors"


@pytest.mark.parametrize("loss", ["mse", "absolute"])
def test_the_three_lines_of_python_ask_the_same(line, monkeypatch, loss):
    loss = loss if loss == "mse" else f"{line}:{loss}"
    asked = Request(f"{line}:pair", "data.npz", loss, "pair.safetensors", 3, {"nbeta": 10.0, "sampler": "mala"})
    seen = []
    for place in (point_request, allroads):
        monkeypatch.setattr(
            place, "inspect_point", lambda *words, **options: seen.append((words, options)), raising=False
        )
    asked.run()
    assert len(asked.snippet.splitlines()) == 3
    exec(asked.snippet, {})
    (ours, options), (theirs, same) = seen
    assert options == same == {"seed": 3, "nbeta": 10.0, "sampler": "mala"}
    (problem, params), (other, point) = ours, theirs
    assert problem.loss == other.loss
    assert jax.tree.all(jax.tree.map(np.array_equal, (problem.data, params), (other.data, point)))


def test_a_point_that_is_no_minimum_says_what_to_do_and_writes_its_page(line, tmp_path):
    """An Equinox module with the factory's own weights lies off the minimum: no number without its status."""
    page = tmp_path / "deep" / "point.html"
    words = ("--data", "data.npz", "--loss", f"{line}:absolute", "--report", page, *QUICK)
    code, out, err = command(f"{line}:equinox_line", *words, "--draws", 20, "--chains", 4)
    assert code == 0, err
    told = " ".join(out.split())
    assert told.startswith("No learning coefficient can be given for this point: not at a minimum.")
    assert "the factory's own, as no file was given" in told
    assert "What to do" in told and "remedy: Train on to a small gradient" in told
    for shown in ("gradient norm", "split R-hat", "largest eigenvalues", "trace", "effective dimension", "quantised"):
        assert shown in told
    assert page.resolve().as_uri() in out.replace("\n", "")
    text = page.read_text()
    assert f"{line}:equinox_line" in text and "inspect_point(Problem(p.network" in text
    assert "not at a minimum" in text and "Train on to a small gradient" in text


def test_bad_input_is_one_clean_message(line, tmp_path):
    save_file({"w": SLOPE}, tmp_path / "missing.safetensors")
    save_file({"w": SLOPE.T.copy(), "b": OFFSET}, tmp_path / "turned.safetensors")
    (tmp_path / "pickle.pt").write_bytes(b"\x80\x04.")
    good = {"--data": "data.npz", "--loss": "mse"}
    for changed, said in (
        ({"--weights": tmp_path / "missing.safetensors"}, "Missing: b."),
        ({"--weights": tmp_path / "turned.safetensors"}, "w has shape (1, 3), expected (3, 1)"),
        ({"--weights": tmp_path / "pickle.pt"}, "is a pickle"),
        ({"--data": "infinite.npz"}, "labels: NaN or infinite in 1 of 20 examples, the first at index 4"),
        ({"--loss": "msee"}, "unknown loss 'msee': did you mean 'mse'?"),
        ({"--sampler": "hcm"}, "unknown sampler 'hcm': did you mean 'hmc'?"),
        ({"--nbeta": "-1"}, "nbeta: expected a finite number above 0"),
        ({"--chains": "5"}, "chains: expected an even number"),
    ):
        words = [word for pair in (good | changed).items() for word in pair]
        code, out, err = command(f"{line}:pair", *words)
        assert (code, out) == (2, "") and said in err, (changed, err)
    code, _, err = command(f"{line}:absent", "--data", "data.npz", "--loss", "mse")
    assert code == 2 and "has no function 'absent'" in err


def test_what_is_right_is_no_trouble():
    from allroads.status import LLCStatus

    assert concerns(made_up()) == []
    assert "converged at nβ = 1,000. A regular minimum has half of its 8 parameters, 4; this one" in verdict(made_up())
    assert "as flat as a regular one of 3 parameters" in verdict(made_up())
    assert "within its error this is one" in verdict(made_up(value=3.9, error=0.2))
    assert "at nβ/10 it is another" in verdict(made_up(status=LLCStatus.SCALE_DEPENDENT))
    lost = made_up(value=math.nan, error=math.inf, status=LLCStatus.DIVERGED)
    assert verdict(lost).startswith("No learning coefficient can be given for this point: diverged.")
    assert [concern.what for concern in concerns(lost)] == ["local learning coefficient"]
    assert as_json(lost, [])["llc"]["value"] is None
