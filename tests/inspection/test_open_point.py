import pickle
import re

import numpy as np
import pytest
from own_networks import OFFSET, SLOPE
from safetensors.numpy import save_file

from allroads import InputError, float64
from allroads.files import open_point

NAMES = {  # factory: names of slope and offset, and whether the slope lies the other way round
    "torch_line": ("weight", "bias", True),
    "equinox_line": ("weight", "bias", True),
    "pair": ("w", "b", False),
    "with_params": ("w", "b", False),
}


def truth(factory, dtype=np.float64):
    slope, offset, turned = NAMES[factory]
    return {slope: np.ascontiguousarray(SLOPE.T if turned else SLOPE, dtype), offset: OFFSET.astype(dtype)}


def outputs(point):
    with float64():
        return np.asarray(point.network.apply(point.params, point.inputs))


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="a PyTorch module is opened: pip install 'allroads[torch]'")


@pytest.mark.parametrize("factory", NAMES)
def test_weights_go_where_their_names_say(here, torch, tmp_path, factory):
    save_file(truth(factory), tmp_path / "w.safetensors")
    point = open_point(f"{here}:{factory}", "data.npz", tmp_path / "w.safetensors")
    precise = 1e-6 if factory == "torch_line" else 1e-12  # the module itself is in single precision
    np.testing.assert_allclose(outputs(point), point.labels, atol=precise)


def test_without_a_file_the_factory_keeps_its_own(here, torch):
    given = open_point(f"{here}:with_params", "data.npz")
    np.testing.assert_allclose(outputs(given), given.inputs.sum(1, keepdims=True) + 1, rtol=1e-6)
    drawn = [open_point(f"{here}:by_interface", "classes.npz", seed=seed).params for seed in (0, 0, 1)]
    assert drawn[0].shape == (3, 4)  # four classes
    assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).all()
    own = open_point(f"{here}:torch_line", "data.npz")
    torch.manual_seed(0)  # as the factory does
    np.testing.assert_array_equal(own.params["weight"], torch.nn.Linear(3, 1).weight.detach().numpy())


def test_of_split_data_the_training_part_is_taken(here):
    assert len(open_point(f"{here}:pair", "split.npz").inputs) == 15


def test_buffers_and_tied_weights_of_a_module(here, torch, tmp_path):
    """Running statistics come from the file; of a tied weight one name is enough, and the module is in evaluation."""
    import sys

    other = sys.modules[here].Tied()
    state = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    state["norm.running_mean"] += 3.0
    other.load_state_dict(state)
    del state["second.weight"]
    save_file({name: tensor.numpy() for name, tensor in state.items()}, tmp_path / "w.safetensors")
    point = open_point(f"{here}:torch_tied", "data.npz", tmp_path / "w.safetensors")
    expected = other.eval()(torch.tensor(point.inputs, dtype=torch.float32)).detach().numpy()
    np.testing.assert_allclose(outputs(point), expected, atol=1e-5)
    del state["norm.num_batches_tracked"]  # with which nothing computes in evaluation mode
    save_file({name: tensor.numpy() for name, tensor in state.items()}, tmp_path / "w.safetensors")
    np.testing.assert_array_equal(
        outputs(open_point(f"{here}:torch_tied", "data.npz", tmp_path / "w.safetensors")), outputs(point)
    )
    del state["norm.running_var"]
    save_file({name: tensor.numpy() for name, tensor in state.items()}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"Missing: norm\.running_var\."):
        open_point(f"{here}:torch_tied", "data.npz", tmp_path / "w.safetensors")


@pytest.mark.parametrize("factory", NAMES)
def test_weights_of_another_network_are_named(here, torch, tmp_path, factory):
    slope, offset, _ = NAMES[factory]
    path = tmp_path / "w.safetensors"
    right = truth(factory, np.float32)
    for wrong, said in (
        ({slope: right[slope]}, rf"Missing: {offset}\."),
        ({**right, "extra": OFFSET}, r"Unknown: extra\."),
        ({**right, slope: np.ones((2, 2), np.float32)}, rf"{slope} has shape \(2, 2\), expected \("),
        ({slope: right[slope], f"{offset}s": OFFSET}, rf"Did you mean '{offset}s' to be '{offset}'\?"),
    ):
        save_file(wrong, path)
        with pytest.raises(InputError, match=said) as error:
            open_point(f"{here}:{factory}", "data.npz", path)
        assert str(path) in str(error.value)


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2", "float64"])
@pytest.mark.parametrize("factory", ["pair", "torch_line"])
def test_weights_of_every_precision_are_read_as_they_are(here, torch, tmp_path, kind, factory):
    """2, −1, 0.5 and 0.25 are numbers of all these precisions, so the line is the same to the last bit."""
    from safetensors.torch import save_file as save_torch

    arrays = {name: torch.tensor(array).to(getattr(torch, kind)) for name, array in truth(factory, np.float32).items()}
    save_torch(arrays, tmp_path / "w.safetensors")
    point = open_point(f"{here}:{factory}", "data.npz", tmp_path / "w.safetensors")
    for name, array in truth(factory, np.float64).items():
        np.testing.assert_array_equal(np.asarray(point.params[name]), array)


def test_a_file_that_begins_like_a_pickle_is_read(here, tmp_path):
    """The first byte is the length of the header, here 128 = 0x80, which is how pickles begin."""
    b, w = b'{"dtype":"F64","shape":[1],"data_offsets":[0,8]}', b'{"dtype":"F64","shape":[3,1],"data_offsets":[8,32]}'
    header = b'{"b":' + b + b',"w":' + w + b"}"
    content = header.ljust(128) + OFFSET.tobytes() + SLOPE.tobytes()
    (tmp_path / "w.safetensors").write_bytes((128).to_bytes(8, "little") + content)
    point = open_point(f"{here}:pair", "data.npz", tmp_path / "w.safetensors")
    np.testing.assert_allclose(outputs(point), point.labels, atol=1e-12)


def test_numbers_of_another_kind_are_named(here, tmp_path):
    """A file whose header says what no reader here knows; its bytes are never taken for something else."""
    header = b'{"w":{"dtype":"F8_E8M0","shape":[3],"data_offsets":[0,3]}}'
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(3))
    with pytest.raises(InputError, match=r"w\.safetensors holds numbers .*: F8_E8M0 \(w\)\. Write them as float32"):
        open_point(f"{here}:pair", "data.npz", tmp_path / "w.safetensors")


def test_whole_numbers_are_no_weights(here, tmp_path):
    save_file({"w": np.ones((3, 1), np.int64), "b": OFFSET}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="w holds int64; expected floating-point"):
        open_point(f"{here}:pair", "data.npz", tmp_path / "w.safetensors")


class Trap:
    """Unpickling it is seen."""

    def __reduce__(self):
        return (open, ("sprung", "w"))


def test_a_pickle_is_refused_unread(here, torch, tmp_path, monkeypatch):
    path = tmp_path / "w.pt"
    for write in (lambda: path.write_bytes(pickle.dumps(Trap())), lambda: torch.save(Trap(), path)):
        write()
        with pytest.raises(InputError, match=r"is a pickle.*not opened.*save_file"):
            open_point(f"{here}:pair", "data.npz", path)
    np.savez(tmp_path / "trap.npz", inputs=np.array([Trap()], object), labels=np.ones(1))
    with pytest.raises(InputError, match=r"trap\.npz cannot be read as an \.npz file"):
        open_point(f"{here}:pair", tmp_path / "trap.npz")
    from pathlib import Path

    assert not Path("sprung").exists()


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is not a safetensors file"), (b"\x08" + bytes(30), "is not a safetensors file")]
)
def test_a_damaged_file_is_named(here, tmp_path, content, said):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=said):
        open_point(f"{here}:pair", "data.npz", tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("factory", "data", "weights", "said"),
    [
        ("absent", "data.npz", None, "has no function 'absent'"),
        ("value", "data.npz", None, "has no function 'value'"),
        ("broken", "data.npz", None, "failed: RuntimeError: the flux capacitor is missing"),
        ("nothing", "data.npz", None, r"gave int; expected a Network, .*\(init, apply\)"),
        ("pair", "none.npz", None, "there is no such file"),
        ("pair", "uneven.npz", None, r"labels \(7, 1\); expected as many labels as inputs"),
        ("pair", "data.npz", "none.safetensors", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named(here, torch, factory, data, weights, said):
    with pytest.raises(InputError, match=said):
        open_point(f"{here}:{factory}", data, weights)


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("nets.py:make", "nets:make"),
        ("./nets.py:make", "nets:make"),
        ("a/b.py:make", "a.b:make"),
        ("a/b:make", "a.b:make"),
    ],
)
def test_the_path_of_a_file_is_told_its_module(here, path, module):
    with pytest.raises(InputError, match=rf"path '{re.escape(path)}' names a file; write the module, '{module}'\."):
        open_point(path, "data.npz")


def test_a_path_that_is_none(here):
    with pytest.raises(InputError, match="expected 'module:function'"):
        open_point("no path", "data.npz")
    with pytest.raises(InputError, match="cannot be imported"):
        open_point("no_such_module:make", "data.npz")
