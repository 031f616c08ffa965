"""What the reach matrices say: the figures of docs/reach.md.

    python benchmarks/reach/findings.py          # a minute; writes benchmarks/results/reach.json

Intervals are 95 %. Means over pairs have a bootstrap over sources: the pairs of one source share their starts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import polars as pl
from loader import DATA, matrix, pairs, summary, table
from scipy.stats import norm, spearmanr

from allroads.points.complexity.symmetries import npn_classes
from allroads.programs.boolean.formula import Formula

RESULT = Path(__file__).parents[1] / "results" / "reach.json"
THREE = ("wide", "narrow")
DRAWS = 400
EVEN = (0.0, 0.5, 0.75)
"""Thresholds r₀ of the reach graph."""


def bootstrapped(rows: pl.DataFrame, value: pl.Expr) -> list[float]:
    """A mean over pairs with its interval over sources: value, low, high."""
    by = (
        rows.select("source", value.alias("v"))
        .drop_nulls()
        .group_by("source", maintain_order=True)
        .agg(pl.col("v").sum(), n=pl.len())
    )
    total, count = by["v"].to_numpy().astype(float), by["n"].to_numpy()
    chosen = np.random.default_rng(0).integers(0, len(total), (DRAWS, len(total)))
    means = total[chosen].sum(1) / count[chosen].sum(1)
    return [float(total.sum() / count.sum()), *np.quantile(means, (0.025, 0.975)).tolist()]


def by_distance(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """R and cost against the Hamming distance of two functions."""
    found = []
    for distance in sorted(rows["distance"].unique().to_list()):
        part = rows.filter(distance=distance)
        row: dict[str, Any] = {"distance": distance, "pairs": part.height}
        row["R"] = bootstrapped(part, pl.col("reached") / pl.col("tried"))
        row["mean of the median log2(1 + steps), pairs with R > 1/2"] = bootstrapped(part, pl.col("cost"))
        row["directness"] = bootstrapped(part, pl.col("directness"))
        if "road_cost" in part.columns and part["road_cost"].count() > 30:
            row["road cost"] = bootstrapped(part, pl.col("road_cost"))
        found.append(row)
    return found


def reach_graph(name: str) -> list[dict[str, Any]]:
    """Strong components of the graph R > r₀, and of the graph whose interval lies above r₀."""
    rows = pairs(name).filter(pl.col("tried") > 0)
    tried, came = rows["tried"].to_numpy().astype(float), rows["reached"].to_numpy().astype(float)
    from scipy.stats import beta

    low = np.where(came > 0, beta.ppf(0.025, np.maximum(came, 1e-9), tried - came + 1), 0.0)
    started = table(name, "sources").filter(pl.col("starts") > 0)["source"].to_list()
    found = []
    for level in EVEN:
        row: dict[str, Any] = {"r0": level}
        for what, above in (("R", came / tried > level), ("low", low > level)):
            graph = nx.DiGraph()
            graph.add_nodes_from(started)
            edges = rows.filter(above).filter(pl.col("target").is_in(started))
            graph.add_edges_from(edges.select("source", "target").iter_rows())
            sizes = sorted((len(part) for part in nx.strongly_connected_components(graph)), reverse=True)
            row |= {f"edges, {what} > r0": graph.number_of_edges(), f"strong components, {what} > r0": len(sizes),
                f"largest, {what} > r0": sizes[0]}  # fmt: skip
        found.append(row)
    return found


def asymmetry(name: str) -> dict[str, Any]:
    """How far R(p→q) and R(q→p) differ, beside what counting alone makes differ; and the same of the cost."""
    rows = pairs(name).filter(pl.col("tried") > 0)
    back = rows.select(source="target", target="source", back="reached", back_tried="tried", back_cost="cost")
    both = rows.join(back, on=["source", "target"]).filter(pl.col("source") < pl.col("target"))
    a, n, b, m = (both[c].to_numpy().astype(float) for c in ("reached", "tried", "back", "back_tried"))
    share = (a + b) / (n + m)
    deviation = np.sqrt(share * (1 - share) * (1 / n + 1 / m))
    z = np.divide(a / n - b / m, deviation, out=np.zeros(len(a)), where=deviation > 0)
    p = 2 * norm.sf(np.abs(z))
    order = np.sort(p)
    passed = np.flatnonzero(order <= 0.05 * np.arange(1, len(p) + 1) / len(p))
    found: dict[str, Any] = {
        "unordered pairs": both.height,
        "mean |R(p→q) − R(q→p)|": float(np.abs(a / n - b / m).mean()),
        "expected by counting alone, if the two were equal": float(np.mean(deviation * np.sqrt(2 / np.pi))),
        "different at a false-discovery rate of 5 % (Benjamini and Hochberg; runs taken as independent)": int(
            passed[-1] + 1 if len(passed) else 0),
    }  # fmt: skip
    cost = both.select("cost", "back_cost").drop_nulls().to_numpy()
    found["correlation of cost(p→q) with cost(q→p)"] = float(np.corrcoef(cost.T)[0, 1])
    found["mean |cost(p→q) − cost(q→p)| in bits"] = float(np.abs(cost[:, 0] - cost[:, 1]).mean())
    return found


def additive(name: str, column: str | None) -> dict[str, Any]:
    """Shares of the variance of a matrix that an effect of the source, of the target and of the distance explain."""
    values = matrix(name, column)
    np.fill_diagonal(values, np.nan)
    p, q = np.nonzero(np.isfinite(values))
    y = values[p, q] - values[p, q].mean()
    distance = np.bitwise_count(p ^ q)
    blocks = {"source": p, "target": q, "distance": distance}

    def explained(names: tuple[str, ...]) -> float:
        fit = np.zeros(len(y))
        for _ in range(40):
            for one in names:
                index, rest = blocks[one], y - fit
                count = np.maximum(np.bincount(index, minlength=256), 1)
                fit = fit + (np.bincount(index, rest, 256) / count)[index]
        return float(1 - ((y - fit) ** 2).sum() / (y**2).sum())

    return {
        "pairs": len(y),
        **{one: explained((one,)) for one in blocks},
        "all three": explained(tuple(blocks)),
    }


def passages(name: str) -> dict[str, Any]:
    """Changes of function until the target is first computed."""
    rows = pairs(name).filter(pl.col("tried") > 0)
    total = rows["changes"].sum()
    found: dict[str, Any] = {
        "changes": int(total),
        "share that flip one output": bootstrapped_ratio(rows, "single", "changes"),
        "share that raise the distance to the target": bootstrapped_ratio(rows, "away", "changes"),
        "changes per run over distance": bootstrapped_ratio(
            rows.with_columns(least=pl.col("distance").cast(pl.Int64) * pl.col("tried").cast(pl.Int64)),
            "changes",
            "least",
        ),
    }
    moves = table(name, "transitions")
    found["ordered pairs of functions between which a run changed"] = moves.height
    found["of them neighbours (one output)"] = moves.filter(
        pl.Series(np.bitwise_count(moves["source"].to_numpy() ^ moves["target"].to_numpy()) == 1)).height  # fmt: skip
    return found


def bootstrapped_ratio(rows: pl.DataFrame, above: str, below: str) -> list[float]:
    by = rows.group_by("source", maintain_order=True).agg(
        pl.col(above).cast(pl.Int64).sum(), pl.col(below).cast(pl.Int64).sum()
    )
    top, bottom = by[above].to_numpy().astype(float), by[below].to_numpy().astype(float)
    chosen = np.random.default_rng(0).integers(0, len(top), (DRAWS, len(top)))
    ratios = top[chosen].sum(1) / bottom[chosen].sum(1)
    return [float(top.sum() / bottom.sum()), *np.quantile(ratios, (0.025, 0.975)).tolist()]


def roads(name: str) -> dict[str, Any]:
    """Costs of straight roads beside the cost and the directness of descent."""
    rows = pairs(name)
    if "road_cost" not in rows.columns or not rows["road_cost"].count():
        return {}
    both = rows.drop_nulls(["cost", "road_cost"])
    found: dict[str, Any] = {
        "roads": int(rows["roads"].sum()),
        "followed": float(rows["roads_followed"].sum() / rows["roads"].sum()),
        "Spearman of cost with road cost": float(spearmanr(both["cost"], both["road_cost"])[0]),
        "Spearman of cost with the road's cost until q": float(spearmanr(both["cost"], both["road_first"])[0]),
        "Spearman of cost with directness": float(spearmanr(both["cost"], both["directness"])[0]),
    }
    within = []
    for distance in range(1, 8):
        part = both.filter(distance=distance)
        within.append([
            float(spearmanr(part["cost"], part[c])[0]) for c in ("road_cost", "road_first", "directness")
        ])  # fmt: skip
    found["the same three within distances 1 to 7"] = within
    if name != "wide":
        part = rows.drop_nulls("road_cost").with_columns(R=pl.col("reached") / pl.col("tried"))
        found["Spearman of R with road cost"] = float(spearmanr(part["R"], part["road_cost"])[0])
    return found


def by_target_class(name: str) -> list[dict[str, Any]]:
    """Mean R and cost by the class of the target up to permuting and negating bits and negating the value."""
    classes, first = npn_classes(3)
    rows = pairs(name).filter(pl.col("tried") > 0)
    rows = rows.with_columns(cls=pl.Series(classes[rows["target"].to_numpy()]))
    found = []
    for (cls,), part in rows.group_by("cls", maintain_order=True):
        program = str(Formula.of_table(int(first[cls]) >> np.arange(8) & 1, 3))
        row: dict[str, Any] = {
            "least code": int(first[cls]),
            "formula": program,
            "functions": int((classes == cls).sum()),
            "runs": int(part["tried"].sum()),
            "runs that did not come": int(part["tried"].sum()) - int(part["reached"].sum()),
        }
        row["R"] = bootstrapped(part, pl.col("reached") / pl.col("tried"))
        found.append(row | {"mean of the median log2(1 + steps)": bootstrapped(part, pl.col("cost"))})
    return sorted(found, key=lambda row: row["R"][0])


def counting(name: str) -> float:
    """The share of the variance of R that counting a few runs makes, if runs were independent."""
    rows = pairs(name).filter(pl.col("tried") > 1)
    share, tried = (rows["reached"] / rows["tried"]).to_numpy(), rows["tried"].to_numpy().astype(float)
    return float((share * (1 - share) / (tried - 1)).mean() / share.var())


def budgets(name: str) -> dict[str, float]:
    rows = pairs(name)
    runs = rows["tried"].sum()
    columns = [c for c in rows.columns if c.startswith("reached")]
    return {c.removeprefix("reached").lstrip("_") or "all steps": float(rows[c].sum() / runs) for c in columns}


def of_map(name: str) -> dict[str, Any]:
    rows = pairs(name).filter(pl.col("tried") > 0)
    share = rows["reached"] / rows["tried"]
    found: dict[str, Any] = {
        "pairs": rows.height,
        "R": bootstrapped(rows, pl.col("reached") / pl.col("tried")),
        "share of pairs with R = 1": float((share == 1).mean()),
        "share of pairs with 0 < R < 1": float(((share > 0) & (share < 1)).mean()),
        "share of pairs with R = 0": float((share == 0).mean()),
        "share of runs that came, by budget": budgets(name),
        "by distance": by_distance(rows),
        "reach graph": reach_graph(name),
        "asymmetry": asymmetry(name),
        "variance of cost explained": additive(name, "cost"),
        "first passages": passages(name),
        "straight roads": roads(name),
        "by class of the target": by_target_class(name),
    }
    if found["share of pairs with R = 1"] < 1:
        found["variance of R explained"] = additive(name, None)
    if found["share of pairs with R = 1"] == 1:
        return found
    found["variance of R that counting makes"] = counting(name)
    source = rows.group_by("source").agg(r=(pl.col("reached") / pl.col("tried")).mean()).sort("r")
    found["sources that reach least: code, mean R"] = [list(row) for row in source.head(8).iter_rows()]
    return found


def of_classes(name: str) -> dict[str, Any]:
    """From one function of each class: reach and cost by distance, and first passages."""
    rows = pairs(name).filter(pl.col("tried") > 0)
    share = rows["reached"] / rows["tried"]
    odd = (pl.col("distance").cast(pl.Int64) - 1) // 2 * 2 + 1
    found: dict[str, Any] = {
        "pairs": rows.height,
        "R": bootstrapped(rows, pl.col("reached") / pl.col("tried")),
        "share of pairs with all runs": float((share == 1).mean()),
        "share of pairs with no run": float((share == 0).mean()),
        "share that flip one output": bootstrapped_ratio(rows, "single", "changes"),
        "share that raise the distance to the target": bootstrapped_ratio(rows, "away", "changes"),
        "Spearman of cost with distance": float(spearmanr(*rows.drop_nulls("cost").select("cost", "distance"))[0]),
        "Spearman of cost with directness": float(spearmanr(*rows.drop_nulls(["cost", "directness"]).select(
            "cost", "directness"))[0]),
        "sources without a start": int((table(name, "sources")["starts"] == 0).sum()),
        "by distance": [],
    }  # fmt: skip
    for (first,), part in rows.group_by(odd.alias("first"), maintain_order=True):
        row = {"distance": [first, first + 1], "pairs": part.height}
        row["R"] = bootstrapped(part, pl.col("reached") / pl.col("tried"))
        found["by distance"].append(row | {"mean of the median log2(1 + steps)": bootstrapped(part, pl.col("cost"))})
    found["by distance"].sort(key=lambda row: row["distance"])
    return found


def main() -> None:
    stored = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    found: dict[str, Any] = {"command": "python benchmarks/reach/findings.py", "runs": summary()}
    found |= {"settings": stored["settings"]} if "settings" in stored else {}
    for name in THREE:
        if (DATA / f"{name}_pairs.parquet").exists():
            found[name] = of_map(name)
            print(name, json.dumps(found[name], indent=1, ensure_ascii=False))
    for name in ("narrowest", "four", "narrow_four"):
        if (DATA / f"{name}_pairs.parquet").exists():
            found[name] = of_classes(name)
            print(name, json.dumps(found[name], indent=1, ensure_ascii=False))
    RESULT.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
