"""Machines of a cluster: what each must have, and what is said where it lacks something."""

import shutil
import uuid
from types import SimpleNamespace

import pytest

from allroads.errors import InputError, StoreError
from allroads.studies.engines import node
from allroads.studies.engines.node import at_node, check, study_needs

pytestmark = pytest.mark.usefixtures("process_as_it_was")


@pytest.mark.parametrize(
    ("package", "said"),
    [("jax", "jax 0.1, not"), ("python", "python 0.1, not"), ("allroads", "allroads 0.1, not"), ("optax", "missing")],
)
def test_other_versions_on_a_node_are_refused(needs, monkeypatch, package, said):
    there = dict(needs.versions) | {package: "0.1"}
    if said == "missing":
        del there[package]
    monkeypatch.setattr(node, "versions", lambda: there)
    monkeypatch.setattr(node.platform, "node", lambda: "node17")
    answer = at_node(needs, check)
    assert isinstance(answer.error, InputError)
    for part in ("node17", said, "install the same versions"):
        assert part in str(answer.error)


def test_another_source_of_allroads_on_a_node_is_refused(needs, monkeypatch):
    monkeypatch.setattr(node, "code_digest", lambda: "another")
    assert "another source of allroads" in str(at_node(needs, check).error)


def test_torch_may_be_missing_on_a_node_but_not_differ(needs, monkeypatch):
    there = dict(needs.versions)
    there.pop("torch", None)
    monkeypatch.setattr(node, "versions", lambda: there)
    assert at_node(needs, check).error is None
    node._checked.cache_clear()
    monkeypatch.setattr(node, "versions", lambda: there | {"torch": "1.0"})
    assert ("torch 1.0" in str(at_node(needs, check).error)) == ("torch" in dict(needs.versions))


def test_a_node_that_does_not_see_the_directory_is_named(needs, tmp_path, monkeypatch):
    monkeypatch.setattr(node, "ARRIVAL", 0.1)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    error = at_node(needs, check).error
    assert isinstance(error, StoreError) and "does not see the run directory" in str(error)


def test_a_node_that_may_not_write_is_named(needs, monkeypatch):
    from allroads.studies import store

    def refused(path, content):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(store, "_write_synced", refused)
    error = at_node(needs, check).error
    assert isinstance(error, StoreError)
    assert "on the node" in str(error) and "no permission" in str(error)


def test_a_node_without_the_users_module_is_named(tmp_path, needs):
    """The module is missing, another one, or imports what is not there."""
    from dataclasses import replace

    name, folder = f"own_{uuid.uuid4().hex[:8]}", tmp_path / "study"
    folder.mkdir()
    asked = replace(needs, modules=((f"{name}:net", str(folder), "0" * 64),))
    error = at_node(asked, check).error
    assert isinstance(error, InputError)
    for said in ("the node ", f"there is no module {name!r}", f"Looked for in {folder}", "all machines see it"):
        assert said in str(error)
    (folder / f"{name}.py").write_text("import not_to_be_had\n")
    assert "the module is another one" in str(at_node(asked, check).error)
    from allroads.studies.parts import importable, source_digest

    with importable(str(folder)):
        code = source_digest(f"{name}:net")
    asked = replace(needs, modules=((f"{name}:net", str(folder), code),))
    assert "No module named 'not_to_be_had'" in str(at_node(asked, check).error)


def test_workers_compute_as_is_said_where_the_study_was_started(needs, tmp_path, monkeypatch):
    monkeypatch.delenv("ALLROADS_CACHE", raising=False)
    monkeypatch.setenv("JAX_ENABLE_X64", "false")
    asked = dict(study_needs(tmp_path / "run", "mark", []).environment)
    assert asked["ALLROADS_CACHE"] == str(tmp_path / "run" / ".compiled")
    assert asked["JAX_ENABLE_X64"] == "false" and "PATH" not in asked
    monkeypatch.setenv("ALLROADS_CACHE", "off")
    assert dict(study_needs(tmp_path / "run", "mark", []).environment)["ALLROADS_CACHE"] == "off"


def test_a_refusal_on_a_machine_is_raised_here_and_its_node_kept(needs):
    from concurrent.futures import Future

    from allroads.studies.engines.cluster import Cluster

    class Here(Cluster):
        def _send(self, future: Future, call, *arguments):
            self._answered(future, call(*arguments))

    engine = Here()
    engine.start(needs)
    assert engine.submit(pow, 2, 5).result() == 32
    (seen,) = engine.nodes
    assert seen.device.startswith("cpu")

    def refused():
        raise StoreError("the disk is full")

    with pytest.raises(StoreError, match="the disk is full"):
        engine.submit(refused).result()


def test_a_node_that_left_before_it_was_looked_at_is_passed_over():
    pytest.importorskip("ray", reason="needs Ray: pip install 'allroads[ray]'")
    from ray import exceptions

    from allroads.studies.engines.on_ray import RayEngine

    def get(answer):
        if isinstance(answer, Exception):
            raise answer
        return answer

    engine = object.__new__(RayEngine)
    engine._ray = SimpleNamespace(exceptions=exceptions, get=get)
    left = exceptions.TaskUnschedulableError("no such node"), exceptions.NodeDiedError("it died")
    assert [engine._has_left(ref) for ref in (*left, ValueError("its own"), "an answer")] == [True, True, False, False]
