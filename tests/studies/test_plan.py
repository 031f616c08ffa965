import copy
import shutil
from dataclasses import fields, replace

import pytest

from allroads.errors import ConfigError
from allroads.studies import parts
from allroads.studies.parts import Part
from allroads.studies.plan import make_plan
from allroads.studies.recipes import PACK, Recipe
from allroads.studies.toml import load_study

STUDY = {
    "name": "mine",
    "grid": [
        {
            "name": "a",
            "seeds": 10,
            "steps": 10,
            "target": [{"kind": "modular", "p": 5}],
            "architecture": [{"kind": "mlp", "widths": [4]}],
            "explorer": [{"kind": "sgd", "learning_rate": 0.1}],
        }
    ],
}


def plan(*overrides, study=STUDY):
    return make_plan(*load_study(study, overrides))


def test_every_deciding_field_changes_the_hash():
    recipe = plan().combinations[0].recipe
    base = recipe.cell(0)
    assert recipe.cell(1) != base
    other = {
        "target": None,  # the fingerprint stands for it
        "fingerprint": "0" * 64,
        "loss": "mse",
        "architecture": replace(recipe.architecture, options={"widths": (5,)}),
        "explorer": Part("explorer", "adam", recipe.explorer.options),
        "seed": 1,
        "steps": 11,
        "records": 63,
        "precision": "float64",
    }
    assert set(other) == {field.name for field in fields(Recipe)}
    hashes = {replace(recipe, **{name: value}).cell(0) for name, value in other.items() if value is not None}
    assert len(hashes | {base}) == len(other)
    code = replace(recipe.architecture, code="1" * 64)
    assert replace(recipe, architecture=code).cell(0) not in hashes | {base}


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "grid.0.steps=11",
        "grid.0.records=32",
        "grid.0.precision=float64",
        "grid.0.target.0.p=7",
        "grid.0.target.0.seed=1",
        "grid.0.architecture.0.widths=[5]",
        "grid.0.architecture.0.activation=tanh",
        "grid.0.explorer.0.learning_rate=0.2",
        "grid.0.explorer.0.batch_size=4",
        "grid.0.explorer.0.kind=adam",
    ],
)
def test_deciding_keys_change_every_cell(override):
    assert not set(plan().cells) & set(plan(override).cells)


@pytest.mark.parametrize(
    "override",
    [
        "name=other",
        "question=why",
        "grid.0.name=b",
        "grid.0.question=why",
        "grid.0.target.0.label=x",
        "grid.0.explorer.0.label=x",
        "engine.kind=process",
        "engine.workers=3",
        "measures.pairs=false",
        "measures.embedding=false",
        "measures.forecasts=true",
        "measures.fit.threshold=0.5",
        "grid.0.measures.fit.threshold=0.5",
        "measures.chart.name=outputs",
        "measures.values.probes=7",
        "grid.0.architecture.0.activation=relu",  # the default, spelled out
        "grid.0.target.0.polynomial=a + b",
    ],
)
def test_other_keys_change_no_cell(override):
    assert plan(override).cells == plan().cells


def test_more_seeds_keep_the_cells_there_are():
    assert plan("grid.0.seeds=17").cells[:10] == plan().cells


def test_whole_numbers_are_the_same_option_as_floats():
    assert plan("grid.0.explorer.0.learning_rate=1").cells == plan("grid.0.explorer.0.learning_rate=1.0").cells


def test_the_same_option_of_a_sampler_is_the_same_in_whole_numbers():
    sampler = {"kind": "sgld", "nbeta": 4, "step_size": 1}
    cells = []
    for explorer in (sampler, sampler | {"nbeta": 4.0, "step_size": 1.0}, sampler | {"localisation": 1}):
        study = copy.deepcopy(STUDY)
        study["grid"][0]["explorer"] = [explorer]
        cells.append(plan(study=study).cells)
    assert cells[0] == cells[1] == cells[2]


def test_a_default_of_the_users_own_function_may_be_spelled_out(study, module):
    module.write_text(
        module.read_text() + "\n\ndef scaled(interface, scale: float = 1, widths: list[float] = (1, 2), base=2):\n"
        "    return tanh_net(interface)\n"
    )
    path = f"grid.0.architecture.0.path={module.stem}:scaled"

    def cells(*options):
        words = [path, *(f"grid.0.architecture.0.{option}" for option in options)]
        return make_plan(*load_study(study, words)).cells

    same = cells()
    for options in (["scale=1"], ["scale=1.0"], ["widths=[1, 2]"], ["widths=[1.0, 2.0]", "base=2"]):
        assert cells(*options) == same
    for options in (["scale=2"], ["widths=[1, 3]"], ["base=3"]):
        assert not set(cells(*options)) & set(same)


def test_what_fails_in_the_users_function_is_said_in_one_sentence(study, module):
    module.write_text(
        module.read_text() + "\n\ndef holed() -> Target:\n"
        '    return Target("holed", inputs=[[0.0], [1.0]], labels=[0.0, float("nan")], loss="mse")\n'
    )
    with pytest.raises(ConfigError) as error:
        make_plan(*load_study(study, [f"grid.0.target.0.path={module.stem}:holed"]))
    said = str(error.value)
    assert "InputError" not in said and "**" not in said and ".." not in said and said.endswith(".")
    assert f"grid.0.target.0: 'factory' cannot be built: {module.stem}:holed failed: " in said


@pytest.mark.parametrize("path", ["MODULE.py:tanh_net", "./MODULE.py:tanh_net"])
def test_a_path_of_a_file_is_told_its_module(study, module, path):
    words = [f"grid.0.architecture.0.path={path.replace('MODULE', module.stem)}"]
    with pytest.raises(ConfigError, match=rf"names a file; write the module, '{module.stem}:tanh_net'\."):
        make_plan(*load_study(study, words))


def test_packs_cover_the_members_in_order():
    combination = plan("grid.0.seeds=19").combinations[0]
    packs = combination.packs()
    assert [first for first, _ in packs] == [0, 8, 16]
    assert [len(cells) for _, cells in packs] == [PACK, PACK, 3]
    assert tuple(cell for _, cells in packs for cell in cells) == combination.cells


def test_the_grid_is_every_combination():
    study = copy.deepcopy(STUDY)
    study["grid"][0] |= {
        "target": [{"kind": "modular", "p": 5}, {"kind": "modular", "p": 7}],
        "explorer": [{"kind": "sgd"}, {"kind": "adam"}, {"kind": "sgd", "momentum": 0.9}],
    }
    made = plan(study=study)
    assert [(c.target, c.explorer) for c in made.combinations] == [
        (f"a + b mod {p}", explorer) for p in (5, 7) for explorer in ("sgd", "adam", "sgd(momentum=0.9)")
    ]
    assert len(set(made.cells)) == 60
    assert [len(group) for group in made.tasks().values()] == [3, 3]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "grid.0.target.0.kind=modulo",
            r"^study: grid\.0\.target\.0: unknown target 'modulo': did you mean 'modular'\?",
        ),
        (
            "grid.0.architecture.0.kind=mpl",
            r"grid\.0\.architecture\.0: unknown architecture 'mpl': did you mean 'mlp'\?",
        ),
        ("grid.0.explorer.0.kind=adamm", r"grid\.0\.explorer\.0: unknown explorer 'adamm': did you mean 'adam"),
        (
            "grid.0.architecture.0.width=3",
            r"grid\.0\.architecture\.0\.width: 'mlp' has no such option: did you mean 'widths'\?",
        ),
        ("grid.0.architecture.0.outputs=3", r"architecture\.0\.outputs: 'mlp' has no such option"),
        ("grid.0.explorer.0.learning_rte=3.0", r"explorer\.0\.learning_rte: .*did you mean 'learning_rate'\?"),
        ("grid.0.explorer.0.learning_rate=fast", r"explorer\.0\.learning_rate: 'fast' is not allowed"),
        ("grid.0.explorer.0.learning_rate=true", r"explorer\.0\.learning_rate: True is not allowed"),
        ("grid.0.explorer.0.learning_rate=-1.0", r"grid\.0\.explorer\.0: "),
        ("grid.0.target.0.p=five", r"grid\.0\.target\.0\.p: 'five' is not allowed"),
        ("grid.0.target.0.p=0", r"grid\.0\.target\.0: 'modular' cannot be built"),
        ("grid.0.target.0.polynomial=a +", r"grid\.0\.target\.0: 'modular' cannot be built"),
        ("grid.0.architecture.0.widths=[-3]", r"grid\.0\.architecture\.0: for target 'a \+ b mod 5'"),
        ("grid.0.architecture.0.activation=rleu", r"grid\.0\.architecture\.0: .*did you mean 'relu'"),
    ],
)
def test_options_are_checked_against_the_factories(override, said):
    with pytest.raises(ConfigError, match=said):
        plan(override)


def test_a_needed_option_is_named():
    study = copy.deepcopy(STUDY)
    del study["grid"][0]["target"][0]["p"]
    with pytest.raises(ConfigError, match=r"grid\.0\.target\.0\.p: 'modular' needs this option"):
        plan(study=study)


def test_an_explorer_that_mixes_members_is_refused():
    study = copy.deepcopy(STUDY)
    study["grid"][0]["explorer"] = [{"kind": "evolution"}]
    with pytest.raises(ConfigError, match=r"explorer\.0: 'evolution' mixes members; call explore instead"):
        plan(study=study)


def test_a_users_explorer_that_mixes_members_is_refused(tmp_path, monkeypatch):
    (tmp_path / "my_swarm.py").write_text(
        "from allroads.explorers.evolution import Evolution\n\n\ndef make():\n    return Evolution()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    study = copy.deepcopy(STUDY)
    study["grid"][0]["explorer"] = [{"kind": "factory", "path": "my_swarm:make"}]
    with pytest.raises(ConfigError, match=r"explorer\.0: 'factory' mixes members; call explore instead"):
        plan(study=study)


def test_two_of_one_name_are_refused():
    study = copy.deepcopy(STUDY)
    study["grid"][0]["target"] *= 2
    study["grid"][0]["explorer"] *= 2
    study["grid"] *= 2
    with pytest.raises(ConfigError) as error:
        plan(study=study)
    assert "2 grids are called 'a'" in str(error.value)


def test_the_users_code_decides_too(study, module, monkeypatch):
    first = make_plan(*load_study(study)).cells
    assert make_plan(*load_study(study)).cells == first
    module.write_text(module.read_text() + "\n# a remark\n")
    with pytest.raises(ConfigError, match="has changed; start Python anew"):
        make_plan(*load_study(study))
    monkeypatch.setattr(parts, "_seen", {})  # as in a new process
    assert not set(first) & set(make_plan(*load_study(study)).cells)


def test_a_module_of_the_same_name_elsewhere_is_not_taken_for_it(study, module, tmp_path):
    make_plan(*load_study(study))
    shutil.copytree(study.parent, tmp_path / "other")
    with pytest.raises(ConfigError, match="is another one or has changed"):
        make_plan(*load_study(tmp_path / "other" / study.name))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("grid.0.architecture.0.path=no_such_parts:tanh_net", "there is no module 'no_such_parts'"),
        ("grid.0.architecture.0.path=MODULE:tanh_nut", "has no function 'tanh_nut'"),
        ("grid.0.architecture.0.widht=3", r"widht: '\w+:tanh_net' has no such option: did you mean 'width'\?"),
        ("grid.0.architecture.0.width=wide", r"architecture\.0\.width: 'wide' is not allowed"),
        ("grid.0.target.0.path=MODULE:party", "party"),
    ],
)
def test_the_users_functions_are_checked_too(study, module, override, said):
    with pytest.raises(ConfigError, match=said):
        make_plan(*load_study(study, [override.replace("MODULE", module.stem)]))
