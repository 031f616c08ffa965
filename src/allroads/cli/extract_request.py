"""A program that a user asks on the command line to be read, and the Python that asks the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from allroads.errors import InputError
from allroads.files import open_network
from allroads.programs import Extraction
from allroads.programs import extract as extract_program
from allroads.targets.build import build_target


@dataclass(frozen=True)
class ExtractRequest:
    """A point by its files, and what it was to learn.

    Args:
        factory: ``"module:function"`` that makes the network.
        target: A kind of target, or ``"module:function"`` that gives one.
        weights: The safetensors file; ``None`` for the factory's own weights.
        options: Options of the target.
        seed: Decides everything random.
    """

    factory: str
    target: str
    weights: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @classmethod
    def of_words(
        cls, factory: str, target: str, weights: str | None, words: Sequence[str], seed: int
    ) -> ExtractRequest:
        """A request whose options are words ``name=value``; a value is TOML, or text where it is none.

        Raises:
            InputError: If a word has no ``=``.

        Example:
            >>> ExtractRequest.of_words("m:f", "boolean", None, ["bits=3", "rule=parity"], 0).options
            {'bits': 3, 'rule': 'parity'}
        """
        options: dict[str, Any] = {}
        for word in words:
            name, equals, text = word.partition("=")
            if not equals:
                raise InputError(f"--set {word!r}: expected name=value, for example task=Parity_All.")
            options[name.strip()] = _value(text)
        return cls(factory, target, weights, options, seed)

    def run(self) -> Extraction:
        """Open the point and read its program.

        Raises:
            InputError: If something of it cannot be used.
        """
        own = {"path": self.target} if ":" in self.target else {}
        target = build_target("factory" if own else self.target, **own, **self.options)
        network, params = open_network(self.factory, target, self.weights, seed=self.seed)
        return extract_program(network, params, target, seed=self.seed)

    @property
    def origin(self) -> list[tuple[str, str]]:
        """Where the network comes from, as titles and texts."""
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return [
            ("network", self.factory),
            ("weights", self.weights or "the factory's own, as no file was given"),
            ("target", f"{self.target}({options})"),
        ]

    @property
    def snippet(self) -> str:
        """Python that reads the same program."""
        own = {"path": self.target} if ":" in self.target else {}
        options = "".join(f", {name}={value!r}" for name, value in {**own, **self.options}.items())
        weights = "" if self.weights is None else f", {self.weights!r}"
        return "\n".join(
            [
                "from allroads import extract, open_network",
                "from allroads.targets import build_target",
                f"target = build_target({'factory' if own else self.target!r}{options})",
                f"network, params = open_network({self.factory!r}, target{weights}, seed={self.seed})",
                f"found = extract(network, params, target, seed={self.seed})",
            ]
        )


def _value(text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
