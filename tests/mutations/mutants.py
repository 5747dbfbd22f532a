"""Copies of the product in which one thing that everything hangs on is missing.

A mutant is a whole copy of a package, one file of which is parsed, cut and written again. It
runs in a process of its own that finds the copy first; the product itself is never touched.
"""

import ast
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T", bound=ast.AST)

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """What is left out, and where.

    Attributes:
        file: Of the package.
        function: In which it is done.
        cut: Source, as ``ast.unparse`` writes it, of the statement, argument, entry of a list or
            dictionary, or method call that is left out.
        package: Which is copied.
    """

    file: str
    function: str
    cut: str
    package: str = "pipeline"

    def grow(self, folder: Path) -> Path:
        """Make the mutant in this folder; the folder is what ``sys.path`` must begin with."""
        copy = folder / self.package
        if not copy.exists():  # else it is a mutant already, and is to miss more
            shutil.copytree(ROOT / self.package, copy, ignore=shutil.ignore_patterns("__pycache__"))
        path = copy / self.file
        tree = ast.parse(path.read_text())
        scissors = _Scissors(self.cut)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == self.function:
                scissors.visit(node)
        assert scissors.cuts == 1, f"{self.cut!r} stands {scissors.cuts} times in {self.function}"
        path.write_text(ast.unparse(tree))
        return folder


class _Scissors(ast.NodeTransformer):
    """Cuts one thing out: a statement, an argument, an entry, or a link of a chain of calls."""

    def __init__(self, cut: str) -> None:
        self._cut = cut
        self.cuts = 0

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.FunctionDef | ast.If | ast.With):
            node.body = self._without(node.body) or [ast.Pass()]
        if isinstance(node, ast.Call):
            node.args = self._without(node.args)
            node.keywords = self._without(node.keywords)
        if isinstance(node, ast.List):
            node.elts = self._without(node.elts)
        if isinstance(node, ast.Dict):
            self._cut_entry(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            link = f".{node.func.attr}({', '.join(map(ast.unparse, node.args))})"
            if link == self._cut:
                self.cuts += 1
                return node.func.value
        return node

    def _cut_entry(self, node: ast.Dict) -> None:
        entries = list(zip(node.keys, node.values, strict=True))
        kept = [
            (key, value)
            for key, value in entries
            if key is None or f"{ast.unparse(key)}: {ast.unparse(value)}" != self._cut
        ]
        self.cuts += len(entries) - len(kept)
        node.keys, node.values = [key for key, _ in kept], [value for _, value in kept]

    def _without(self, nodes: list[T]) -> list[T]:
        kept = [node for node in nodes if ast.unparse(node) != self._cut]
        self.cuts += len(nodes) - len(kept)
        return kept
