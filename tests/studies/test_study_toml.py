import copy

import pytest

from allroads.errors import ConfigError
from allroads.studies.toml import builtin_studies, load_study, to_toml

STUDY = {
    "name": "mine",
    "grid": [
        {
            "name": "a",
            "seeds": 2,
            "steps": 10,
            "target": [{"kind": "modular", "p": 5}],
            "architecture": [{"kind": "mlp", "widths": [4]}],
            "explorer": [{"kind": "adam"}, {"kind": "gd", "learning_rate": 0.1}],
        }
    ],
}


def test_defaults_and_types():
    study, _ = load_study(STUDY)
    grid = study.grid[0]
    assert (study.seed, grid.records, grid.precision, grid.measures) == (0, 64, "float32", {})
    assert grid.explorer[1].options == {"learning_rate": 0.1}
    assert (study.measures.own, study.measures.model_extra, study.engine.kind) == ((), {}, "auto")
    with pytest.raises(ValueError, match="frozen"):
        grid.seeds = 3


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("grid.0.seedz=4", r"grid\.0\.seedz: unknown key: did you mean 'seeds'\? Allowed here: architecture, expl"),
        ("nmae='x'", r"study: nmae: unknown key: did you mean 'name'\? Allowed here: engine, grid, measures, name"),
        ("engine.kind=pol", r"engine\.kind: 'pol' is not allowed: did you mean 'pool'\? Allowed: auto, process, pool"),
        ("grid.0.precision=float16", r"grid\.0\.precision: 'float16' is not allowed: .*Allowed: float32, float64"),
        ("grid.0.seeds=0", r"grid\.0\.seeds: 0 is not allowed: input should be greater than or equal to 1"),
        ("grid.0.seeds=true", r"grid\.0\.seeds: True is not allowed: input should be a valid integer"),
        ("grid.0.seeds=2.5", r"grid\.0\.seeds: 2\.5 is not allowed"),
        ("grid.0.steps='9'", r"grid\.0\.steps: '9' is not allowed: input should be a valid integer"),
        ("measures.fit.threshold=nan", r"measures\.fit\.threshold: expected a finite number"),
        ("grid.0.explorer.1.learning_rate=inf", r"grid\.0\.explorer\.1\.learning_rate: expected a finite number"),
        ("grid.0.target=[]", r"grid\.0\.target: \[\] is not allowed"),
        ("grid.0.batch_size=8", r"'batch_size' is an option of an explorer: put it under \[\[grid\.explorer\]\]"),
        ("name=''", r"name: '' is not allowed"),
        ("seed=-1", r"seed: -1 is not allowed"),
        ("grid.1.seeds=4", r"--set grid\.1\.seeds=4: grid is a list; expected 0 … 0, got '1'"),
        ("grod.0.seeds=4", r"--set grod\.0\.seeds=4: the study has no 'grod'\. Did you mean 'grid'\?"),
        ("name.x=4", r"--set name\.x=4: name is a value and holds no 'x'"),
        ("seeds", r"--set 'seeds': expected key=value"),
    ],
)
def test_mistakes_are_named(override, said):
    with pytest.raises(ConfigError, match=said):
        load_study(STUDY, [override])


def test_all_mistakes_are_named_at_once():
    with pytest.raises(ConfigError) as error:
        load_study(STUDY, ["grid.0.seeds=0", "grid.0.precison=float64", "name=3"])
    assert len(str(error.value).splitlines()) == 3


def test_a_missing_key_is_named():
    study = copy.deepcopy(STUDY)
    del study["grid"][0]["steps"]
    with pytest.raises(ConfigError, match=r"^study: grid\.0\.steps: this key is needed"):
        load_study(study)


def test_overrides_take_toml_and_text():
    study, _ = load_study(
        STUDY, ["grid.0.seeds=4", "name=other one", "measures.pairs=false", "grid.0.architecture.0.widths=[8, 8]"]
    )
    assert (study.grid[0].seeds, study.name, study.measures.pairs) == (4, "other one", False)
    assert study.grid[0].architecture[0].options == {"widths": [8, 8]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name = 'a'\nseeds = = 3\n", r"bad\.toml:2: not TOML"),
        (b"name = 'a'\n\n[[grid\n", r"bad\.toml:3: not TOML"),
        (b"name = 'a'\n\xff\xfe", r"bad\.toml:2: not TOML: it is not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0", r"bad\.toml:1: not TOML"),
    ],
)
def test_what_is_not_toml_is_refused_with_the_line(tmp_path, content, said):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        load_study(path)


def test_a_file_that_is_not_there_and_a_study_that_does_not_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        load_study(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"no study 'quickstrat'.*Did you mean 'quickstart'\?"):
        load_study("quickstrat")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_study(tmp_path)


def test_built_in_studies_are_valid():
    assert "quickstart" in builtin_studies()
    for name in builtin_studies():
        assert load_study(name)[0].name == name


def test_toml_round_trip():
    odd = 'a "quoted" \\ \n\t name with é, 😀 and \x7f <script>'
    measures = ["measures.values.probes=7", "grid.0.measures.fit.threshold=0.5", "measures.llc=true"]
    overrides = [*measures, "seed=3", "grid.0.precision=float64", "engine.kind=process"]
    data = copy.deepcopy(STUDY)
    data["name"] = odd
    data["grid"][0]["architecture"][0] |= {"flag": True, "rate": 1e-30, "table": {"a key": [1, 2]}, "deep": [[1], [2]]}
    study, _ = load_study(data, overrides)
    import tomllib

    assert load_study(tomllib.loads(to_toml(study)))[0] == study


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ("<script>alert(1)</script>", "script-alert-1-script"),
        ("A study", "a-study"),
        ("…", "study"),
        ("x" * 300, "x" * 80),
    ],
)
def test_names_never_become_paths(name, slug):
    assert load_study(STUDY | {"name": name})[0].slug == slug
