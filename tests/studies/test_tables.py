"""Tables of a study from made-up entries: their rows, their order, what is missing."""

from types import SimpleNamespace

import polars as pl
import pytest

from allroads.studies import tables as tables_module
from allroads.studies.store import Store, table_bytes
from allroads.studies.units import PATH, Place, RunRef, stored_tables


@pytest.mark.parametrize("batch", [1, 1000])
def test_rows_come_in_the_order_of_units_whatever_entry_holds_them(tmp_path, monkeypatch, batch):
    """Units 0 and 2 lie in one entry in the other order, unit 1 alone, and unit 3 nowhere; units have several rows."""
    monkeypatch.setattr(tables_module, "BATCH", batch)
    store, both, alone = Store(tmp_path), "a" * 64, "b" * 64
    for name, units, values in ((both, ["2", "0"], [5, 6, 1, 2]), (alone, ["1"], [3, 4])):
        rows = pl.DataFrame({"unit": [at for at in range(len(units)) for _ in range(2)], "value": values})
        store.write("measures", name, {"units": units}, {"rows.parquet": table_bytes(rows)})
    places = [Place(both, "0", (0,)), Place(alone, "1", (1,)), Place(both, "2", (2,)), Place("d" * 64, "3", (3,))]
    found = tables_module._results(SimpleNamespace(places=places), store)
    assert found["rows"].to_dict(as_series=False) == {"value": [1, 2, 3, 4, 5, 6], ".place": [0, 0, 1, 1, 2, 2]}
    assert found["along"].is_empty()


def test_two_runs_of_one_cell_have_its_steps_once(tmp_path):
    """As in two grids that hold the same; under the first of them. A run without its cell has no row."""
    store, scalars = Store(tmp_path), dict.fromkeys(("last_step", "parameters", "gradients", "forwards", "examples"), 3)
    store.write("cells", "a" * 64, {"steps": [0, 3], "scalars": {"status": "ok", **scalars}}, {})
    labels = dict.fromkeys(("target", "architecture", "explorer"), "x")
    recipe = SimpleNamespace(steps=3)
    cells = ("b" * 64, "a" * 64, "a" * 64)
    runs = [RunRef(at, {"grid": f"g{at}", **labels}, recipe, 0, cell) for at, cell in enumerate(cells)]
    rows, curves = tables_module._trajectories(runs, store)
    assert rows["grid"].to_list() == ["g1", "g2"] and rows[".place"].to_list() == [1, 2]
    assert curves.rows() == [(1, "a" * 10, 0, 0), (1, "a" * 10, 3, 1)]


def test_entries_of_other_columns_go_under_one_another(tmp_path):
    """As a measure leaves them whose columns changed."""
    store = Store(tmp_path)
    for index, row in enumerate(({"unit": 0, "a": 1}, {"unit": 0, "b": 2.0}, {"unit": 0, "a": 3})):
        store.write("measures", f"{index:064x}", {}, {"rows.parquet": table_bytes(pl.DataFrame(row))})
    paths = [f"{store.path('measures', name)}/rows.parquet" for name in store.list("measures")]
    found = stored_tables(paths)
    assert found["a"].to_list() == [1, None, 3] and found["b"].to_list() == [None, 2.0, None]
    assert found[PATH].to_list() == paths
    assert stored_tables(paths[::2])["a"].to_list() == [1, 3]
