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


@pytest.mark.parametrize("switch", [True, False])
def test_an_option_takes_the_place_of_the_switch_of_a_measure(switch):
    study = {**STUDY, "measures": {"reach": switch}}
    assert load_study(study, ["measures.reach.budget=7"])[0].measures.model_extra == {"reach": {"budget": 7}}
    study["grid"] = [{**STUDY["grid"][0], "measures": {"programs": switch}}]
    assert load_study(study, ["grid.0.measures.programs.checkpoints=3"])[0].grid[0].measures == {
        "programs": {"checkpoints": 3}
    }


def test_all_mistakes_are_named_at_once():
    with pytest.raises(ConfigError) as error:
        load_study(STUDY, ["grid.0.seeds=0", "grid.0.precison=float64", "seed=-1"])
    assert len(str(error.value).splitlines()) == 3


def test_mistakes_in_options_are_named_beside_those_of_the_study():
    study = copy.deepcopy(STUDY)
    study["seed_s"] = 3
    study["grid"][0]["explorer"] = [{"kind": "adam", "lerning_rate": 0.1, "b1": "high"}, {"kind": "sdg"}]
    study["grid"][0]["target"] = [{"kind": "modular", "p": 5}, {"kind": "boolean", "bist": 3}]
    study["grid"].append({**study["grid"][0], "name": "b", "explorer": [{"kind": "gd", "rate": 1.0}]})
    with pytest.raises(ConfigError) as error:
        load_study(study)
    begun = [line.split(":")[1].strip() for line in str(error.value).splitlines()]
    assert begun == [
        "seed_s",
        "grid.0.target.1.bist",
        "grid.0.explorer.0.lerning_rate",
        "grid.0.explorer.0.b1",
        "grid.0.explorer.1",
        "grid.1.target.1.bist",
        "grid.1.explorer.0.rate",
    ]


def test_every_override_that_leads_nowhere_is_named():
    with pytest.raises(ConfigError) as error:
        load_study(STUDY, ["seeds", "grod.0.seeds=4", "grid.7.seeds=4", "name.x=1"])
    assert len(str(error.value).splitlines()) == 4


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
    ("override", "value"),
    [
        ("name=2024", "2024"),
        ("name=true", "true"),
        ("name='2024'", "2024"),
        ("question=1e3", "1e3"),
        ("grid.0.name=[1]", "[1]"),
        ("grid.0.target.0.label=7", "7"),
        ("grid.0.target.0.polynomial=7", "7"),
        ("grid.0.target.0.p=7", 7),
        ("grid.0.architecture.0.activation=1", "1"),
        ("grid.0.explorer.1.learning_rate=7", 7),
        ("grid.0.seeds=7", 7),
        ("measures.probes=7", 7),
    ],
)
def test_overrides_are_text_where_the_key_takes_text(override, value):
    study, _ = load_study(STUDY, [override])
    place = study.model_dump()
    for name in override.partition("=")[0].split("."):
        place = place[int(name) if name.isdecimal() else name]
    assert place == value and type(place) is type(value)


def test_a_truth_table_needs_no_quotes(tmp_path):
    text = ["grid.0.target.0.kind=boolean", "grid.0.target.0.truth_table=1001"]
    study = copy.deepcopy(STUDY)
    study["grid"][0]["target"] = [{"kind": "modular"}]
    assert load_study(study, text)[0].grid[0].target[0].options == {"truth_table": "1001"}


def test_text_of_a_users_own_function_needs_no_quotes(study, module):
    module.write_text(
        module.read_text() + "\n\ndef coded(code: str, bits: int = 3) -> Target:\n    return parity(bits)\n"
    )
    words = [f"grid.0.target.0.path={module.stem}:coded", "grid.0.target.0.code=0110", "grid.0.target.0.bits=4"]
    assert load_study(study, words)[0].grid[0].target[0].options["code"] == "0110"
    words[1] = "grid.0.target.0.code=110"
    found = load_study(study, words)[0].grid[0].target[0].options
    assert (found["code"], found["bits"]) == ("110", 4)


def test_a_study_saved_with_a_byte_order_mark_is_read(tmp_path):
    text = to_toml(load_study(STUDY)[0])
    (tmp_path / "marked.toml").write_text(text, encoding="utf-8-sig")
    assert load_study(tmp_path / "marked.toml")[0] == load_study(STUDY)[0]
    (tmp_path / "wide.toml").write_text(text, encoding="utf-16")
    with pytest.raises(ConfigError, match=r"wide\.toml: not TOML: it is UTF-16 text; save it as UTF-8"):
        load_study(tmp_path / "wide.toml")


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
        ("学習の道", "学習の道"),
        ("Größe é", "größe-é"),
        ("a_b", "a-b"),
        ("道" * 300, "道" * 80),
        ("😀", "study"),
    ],
)
def test_names_never_become_paths(name, slug):
    assert load_study(STUDY | {"name": name})[0].slug == slug
