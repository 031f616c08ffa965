"""The command line, one function per command; heavy imports wait for their use."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from allroads.errors import AllroadsError, InputError

app = typer.Typer(
    help="What will a neural network learn, what did it learn, and how? Train, measure and report.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Keys = Annotated[list[str] | None, typer.Option(help="Change a key of the study, for example grid.0.seeds=4.")]
Engine = Annotated[
    str | None,
    typer.Option(help="Where to compute: auto, process (this one), pool, pool:N, ray, ray:ADDRESS, slurm or slurm:N."),
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Do not write the report.")]
Factory = Annotated[
    str, typer.Argument(help="MODULE:FUNCTION that gives a PyTorch or Equinox module, a Network or its functions.")
]
Loss = Annotated[str, typer.Option(help="mse, cross_entropy, bce, or MODULE:FUNCTION.")]
Weights = Annotated[Path | None, typer.Option(help="A safetensors file. Default: the weights that the function gives.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that is random.")]


def main() -> None:
    """Run the command line; an error that allroads raises on purpose is one message and an exit code.

    Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted. ``ALLROADS_DEBUG=1`` shows the traceback. Signs that the
    standard output cannot encode are replaced.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        app()
    except AllroadsError as error:
        if os.environ.get("ALLROADS_DEBUG") == "1":
            raise
        print(f"allroads: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="A TOML file, or the name of a built-in study.")],
    out: Annotated[
        Path | None, typer.Option(help="Directory for the results. Default: runs/<name of the study>.")
    ] = None,
    set: Keys = None,
    engine: Engine = None,
    no_report: NoReport = False,
    as_json: Json = False,
) -> None:
    """Run a study, or finish one that was interrupted."""
    _run_study(study, out, set or (), engine, not no_report, as_json)


@app.command("report-runs")
def report_runs(
    directory: Annotated[str, typer.Argument(help="Your checkpoints: a directory of safetensors files, or a pattern.")],
    network: Annotated[
        str, typer.Option(help="MODULE:FUNCTION that gives a PyTorch, Flax or Equinox module, or a Network.")
    ],
    data: Annotated[Path, typer.Option(help="An .npz file with inputs and labels, held-out ones too if there are.")],
    loss: Annotated[str, typer.Option(help="mse, cross_entropy or bce.")],
    out: Annotated[Path | None, typer.Option(help="Directory for the results. Default: DIRECTORY-report.")] = None,
    set: Keys = None,
    engine: Engine = None,
    no_report: NoReport = False,
    as_json: Json = False,
) -> None:
    """Measure your own training runs and write a report."""
    from allroads.cli.study_request import own_runs

    study, beside = own_runs(directory, network, str(data), loss)
    _run_study(study, out or beside, set or (), engine, not no_report, as_json)


def _run_study(
    study: str | Mapping[str, Any],
    out: Path | None,
    overrides: Sequence[str],
    engine: str | None,
    report: bool,
    as_json: bool,
) -> None:
    """Run a study and print what came of it."""
    from allroads.cli.study_request import StudyRequest, study_json, study_lines

    done, failed = StudyRequest(study, out, overrides, engine, report).run()
    if as_json:
        _print_json(study_json(done))
    else:
        print("\n".join(study_lines(done)))
    if failed is not None:
        raise failed


@app.command()
def inspect(
    factory: Factory,
    data: Annotated[Path, typer.Option(help="An .npz file with inputs and labels.")],
    loss: Loss,
    weights: Weights = None,
    report: Annotated[Path | None, typer.Option(help="Write a report of the point to this file.")] = None,
    nbeta: Annotated[
        float | None, typer.Option(help="Inverse temperature nβ. Default: the largest at which the point is a minimum.")
    ] = None,
    localisation: Annotated[float | None, typer.Option(help="Strength γ of the pull of chains to the point.")] = None,
    sampler: Annotated[str | None, typer.Option(help="hmc, mala, mclmc, sgld, rmsprop_sgld or sgnht.")] = None,
    chains: Annotated[int | None, typer.Option(help="Number of chains, even.")] = None,
    draws: Annotated[int | None, typer.Option(help="Draws per chain. Default: until the answer is precise.")] = None,
    burn_in: Annotated[
        int | None, typer.Option(help="Draws per chain that are thrown away first, in whole rounds.")
    ] = None,
    max_draws: Annotated[int | None, typer.Option(help="Largest number of draws per chain.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples per gradient of sgld, rmsprop_sgld, sgnht.")] = None,
    top: Annotated[int | None, typer.Option(help="Number of Hessian eigenvalues. Default: 10.")] = None,
    plane: Annotated[
        bool, typer.Option("--plane", help="Draw the loss on a plane of two random directions in the report.")
    ] = False,
    budget: Annotated[float | None, typer.Option(help="Seconds that the command may take. Default: no limit.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Measure loss, degeneracy and curvature at one point."""
    from rich.console import Console

    from allroads.cli.point_request import Request
    from allroads.files.destination import check_destination
    from allroads.report.point.terminal import as_json as plain
    from allroads.report.point.terminal import show

    options = _given(
        nbeta=nbeta,
        localisation=localisation,
        sampler=sampler,
        chains=chains,
        draws=draws,
        burn_in=burn_in,
        max_draws=max_draws,
        batch_size=batch_size,
        top=top,
        budget=budget,
    )
    check_destination(report, "--report")
    if plane and report is None:
        raise InputError("--plane: it is drawn in the report; give --report FILE too.")
    asked = Request(factory, str(data), loss, None if weights is None else str(weights), seed, options)
    around = asked.around() if plane else None
    found = asked.run()
    if as_json:
        _print_json({**plain(found, asked.origin), "python": asked.snippet, "report": report and str(report)})
    else:
        show(found, asked.origin, Console())
    if report is not None:
        from allroads.report.point import write_point_page

        page = write_point_page(found, report, asked.origin, asked.snippet, around)
        if not as_json:
            print(f"\nReport:  {page.resolve().as_uri()}")


@app.command()
def connect(
    factory: Factory,
    a: Annotated[Path, typer.Option(help="Weights of one end point: a safetensors file.")],
    b: Annotated[Path, typer.Option(help="Weights of the other end point.")],
    data: Annotated[Path, typer.Option(help="An .npz file with inputs and labels, held-out ones too if there are.")],
    loss: Loss,
    method: Annotated[str, typer.Option(help="bezier, polygon, short, neb or geodesic.")] = "bezier",
    align: Annotated[
        str | None, typer.Option(help="First move b near a by a symmetry: weights, activations or search.")
    ] = None,
    bends: Annotated[int | None, typer.Option(help="Free points of the curve.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps of the curve. Default: 800.")] = None,
    chart: Annotated[str | None, typer.Option(help="Chart of a geodesic: outputs, probabilities or sphere.")] = None,
    save: Annotated[Path | None, typer.Option(help="Write the curve's control points as safetensors.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Find a curve of low loss between two points."""
    from rich.console import Console

    from allroads.cli.connect_request import ConnectRequest, save_curve
    from allroads.files.destination import check_destination
    from allroads.report.connection import connection_json, show_connection

    options = _given(method=method, align=align, bends=bends, steps=steps, chart=chart)
    check_destination(save, "--save")
    asked = ConnectRequest(factory, str(data), loss, str(a), str(b), seed, options)
    found = asked.run()
    if save is not None:
        save_curve(found, save)
    if as_json:
        _print_json({**connection_json(found, asked.origin), "python": asked.snippet, "saved": save and str(save)})
    else:
        show_connection(found, asked.origin, Console())


@app.command()
def compare(
    factory: Factory,
    a: Annotated[Path, typer.Option(help="Weights of one point: a safetensors file.")],
    b: Annotated[Path, typer.Option(help="Weights of the other point.")],
    data: Annotated[Path, typer.Option(help="An .npz file with inputs and labels, held-out ones too if there are.")],
    loss: Loss,
    target: Annotated[
        str | None, typer.Option(help="How programs are read: a kind of target, or MODULE:FUNCTION. Default: the data.")
    ] = None,
    set: Annotated[list[str] | None, typer.Option(help="An option of the target, for example bits=4.")] = None,
    align: Annotated[
        str | None, typer.Option(help="How b is moved near a: weights, activations or search. Default: weights.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Of the road: bezier, polygon, short, neb or geodesic. Default: bezier.")
    ] = None,
    no_programs: Annotated[bool, typer.Option("--no-programs", help="Read no programs.")] = False,
    budget: Annotated[float | None, typer.Option(help="Seconds that it may take. Default: no limit.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Say what two points share, and what lies between them."""
    from rich.console import Console

    from allroads.cli.compare_request import CompareRequest
    from allroads.report.comparison import comparison_json, show_comparison

    options = _given(align=align, method=method, budget=budget, programs=False if no_programs else None)
    asked = CompareRequest(factory, str(data), loss, str(a), str(b), seed, options, target, tuple(set or ()))
    found = asked.run()
    if as_json:
        _print_json({**comparison_json(found, asked.origin), "python": asked.snippet})
    else:
        show_comparison(found, asked.origin, Console())


@app.command()
def extract(
    factory: Factory,
    target: Annotated[str, typer.Option(help="What the network was to learn: a kind of target, or MODULE:FUNCTION.")],
    weights: Weights = None,
    set: Annotated[list[str] | None, typer.Option(help="An option of the target, for example task=Parity_All.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Read the program that a network computes."""
    from rich.console import Console

    from allroads.cli.extract_request import ExtractRequest
    from allroads.report.extraction import extraction_json, show_extraction

    asked = ExtractRequest.of_words(factory, target, None if weights is None else str(weights), set or (), seed)
    found = asked.run()
    if as_json:
        _print_json({**extraction_json(found, asked.origin), "python": asked.snippet})
    else:
        show_extraction(found, asked.origin, Console())


@app.command()
def zoo(
    name: Annotated[str | None, typer.Argument(help="Name of a network. Default: list them all.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="New folder for the weights, the program and the description of inputs.")
    ] = None,
    bits: Annotated[bool, typer.Option("--bits", help="Also list the length of each program; takes a minute.")] = False,
    as_json: Json = False,
) -> None:
    """Write networks whose programs are known."""
    from allroads.cli.zoo_request import ask_zoo

    told, lines = ask_zoo(name, out, bits)
    if as_json:
        _print_json(told)
    else:
        print("\n".join(lines))


@app.command()
def learnability(
    study: Annotated[str, typer.Argument(help="A TOML file, or the name of a built-in study.")],
    set: Keys = None,
    learn: Annotated[
        int, typer.Option(min=0, help="Number of targets to train first; the others are then predicted better.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Predict how long a study's targets take to learn."""
    from allroads.studies.threads import one_thread

    one_thread()
    from rich.console import Console

    from allroads.progress import progress
    from allroads.studies.predict import predict_study, show_predictions

    with progress("learnability"):
        forecasts = predict_study(study, set or (), learn)
    if as_json:
        _print_json({"forecasts": forecasts.to_dicts()})
    else:
        show_predictions(forecasts, Console())


@app.command()
def report(
    directory: Annotated[Path, typer.Argument(help="A run directory.")],
    figures: Annotated[str | None, typer.Option(help="Also write each chart as a file: svg, png or pdf.")] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a run directory again."""
    if figures is not None and figures not in ("svg", "png", "pdf"):
        raise InputError(f"--figures {figures!r}: expected svg, png or pdf.")
    from allroads.report import write_figures, write_report

    page = write_report(directory)
    charts = write_figures(directory, figures) if figures else []
    if as_json:
        _print_json({"report": str(page), "figures": [str(path) for path in charts]})
        return
    print(f"Report:  {page.resolve().as_uri()}")
    for path in charts:
        print(f"Figure:  {path}")


@app.command("list")
def list_(
    what: Annotated[
        str | None, typer.Argument(help="targets, architectures, explorers, studies, or a run directory.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what a study can contain, or the runs of one."""
    from allroads.studies.catalogue import KINDS, list_cells, list_kinds

    if what is not None and what not in KINDS:
        found: Any = list_cells(what)
        if not as_json:
            for row in found:
                print("  ".join(str(value) for value in row.values()))
            print(f"{len(found)} cells")
            return
    else:
        found = {kind: list_kinds(kind) for kind in ([what] if what else KINDS)}
        if not as_json:
            for kind, entries in found.items():
                print(f"{kind}:")
                for name, text in entries.items():
                    print(f"  {name:<18}{text}")
            return
    _print_json(found)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check what is installed and how this machine is set up."""
    from allroads.studies.doctor import examine

    checks = examine()
    problems = [check for check in checks if check.problem]
    if as_json:
        _print_json({"checks": [vars(check) for check in checks], "problems": len(problems)})
    else:
        for check in checks:
            print(f"{'!!' if check.problem else 'ok'}  {check.name:<12}{check.found}")
            if check.problem:
                print(f"    {check.problem} {check.remedy}")
    raise typer.Exit(1 if problems else 0)


def _given(**options: Any) -> dict[str, Any]:
    """The options that the user gave; the others have their defaults where they are used."""
    return {name: value for name, value in options.items() if value is not None}


def _print_json(value: Any) -> None:
    """Print JSON; where the standard output cannot encode all of it, with escapes, which lose nothing."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=1)
    print(text)
