"""Imports: each name comes from where the ported code finds it, OneFlow, flowvision or the compatibility module."""

from __future__ import annotations

import ast
import re

from torch2flow.port import forms
from torch2flow.port.compat import SUBSTITUTES
from torch2flow.port.lookup import MODULES, has_a_form, is_foreign, longest, module_there
from torch2flow.port.substituting import has_own
from torch2flow.port.under_way import FileUnderWay


class ImportRewriter:
    """The imports of one file.

    Args:
        rewriter: the file on its way.
    """

    def __init__(self, rewriter: FileUnderWay) -> None:
        self.rewriter = rewriter
        self.first: ast.stmt | None = None
        self.tells_of_package = False

    def rewrite(self, node: ast.Import) -> None:
        """`import torch.nn as nn, os`."""
        rewriter, parts = self.rewriter, []
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            found = rewriter.meaning(name)
            if not is_foreign(alias.name) or not is_foreign(found.path):
                other = forms.OF_OTHER_PACKAGES.get(alias.name, alias.name) if alias.asname else alias.name
                parts.append(f"{other} as {alias.asname}" if alias.asname else alias.name)
                self._of_others(node, alias.name)
                continue
            self._note_first(node)
            there = module_there(alias.name)
            if alias.asname:
                parts += [f"{there} as {alias.asname}"] * bool(there)
                if not there and alias.name not in MODULES:
                    rewriter.cannot(node, alias.name, f"OneFlow 0.9.0 has no module {alias.name}.")
                continue
            root = module_there(alias.name.partition(".")[0])
            own = (
                root if root == rewriter.module.alias or root == "flowvision" else f"{root} as {rewriter.module.alias}"
            )
            bound = rewriter.scope.home(name).imports[name]
            if alias.name == name or all(each.plain != name for each in bound):
                parts.append(own)
            elif there:
                parts.append(there)
        text = ", ".join(dict.fromkeys(parts))
        if f"import {text}" != " ".join(rewriter.source.of(node).split()):
            self._replace(node, [f"import {text}"] if text else [])

    def rewrite_from(self, node: ast.ImportFrom) -> None:
        """`from torch.nn import Linear, functional as F`."""
        rewriter = self.rewriter
        module = rewriter.module.resolve_from(node.level, node.module)
        if not is_foreign(module) or module.partition(".")[0] in rewriter.project.modules:
            self._from_the_tree(node)
            if node.level and not rewriter.module.package:
                self._of_the_package_around(node)
            if module in forms.OF_OTHER_PACKAGES:
                self._move(node, forms.OF_OTHER_PACKAGES[module])
            if not node.level:
                self._of_others(node, module)
            return
        self._note_first(node)
        if any(alias.name == "*" for alias in node.names):
            there = module_there(module)
            self._replace(node, [f"from {there} import *"] if there else [])
            if not there:
                rewriter.cannot(node, module, f"OneFlow 0.9.0 has no module {module}.")
            return
        groups: dict[str, list[str]] = {}
        extra: list[str] = []
        for alias in node.names:
            self._one(node, f"{module}.{alias.name}", alias, groups, extra)
        lines = [f"from {home} import {', '.join(dict.fromkeys(names))}" for home, names in groups.items()]
        lines = [line.removeprefix("from  ") for line in lines]
        kept = [f"{alias.name} as {alias.asname}" if alias.asname else alias.name for alias in node.names]
        if not extra and len(groups) == 1 and next(iter(groups.values())) == kept:
            self._move(node, next(iter(groups)))
            return
        self._replace(node, lines + extra)

    def _move(self, node: ast.ImportFrom, module: str) -> None:
        """Takes all names of an import from another module."""
        source = self.rewriter.source
        match = re.compile(r"from[\s\\]+([\w.]+)").match(source.text, source.span(node)[0])
        if match:
            source.replace(match.start(1), match.end(1), module)

    def _one(
        self, node: ast.ImportFrom, path: str, alias: ast.alias, groups: dict[str, list[str]], extra: list[str]
    ) -> None:
        rewriter, local = self.rewriter, alias.asname or alias.name
        api, _ = longest(path.split("."))
        if api is None:
            there = module_there(path)
            if there:
                home, _, name = there.rpartition(".")
                groups.setdefault(home, []).append(name if name == local else f"{name} as {local}")
            return
        if api.name in forms.VALUES:
            rewriter.needs_flow |= "flow." in forms.VALUES[api.name]
            extra.append(f"{local} = {rewriter.value_of(api.name)}")
        elif api.name == "torch.jit.Final":
            groups.setdefault("typing", []).append("Final" if local == "Final" else f"Final as {local}")
        elif has_a_form(api.name):
            return  # every use of it is written otherwise
        elif api.status == "rule" and not has_own(api.name, api.oneflow):
            rewriter.uses_compat(api.name)
            name = SUBSTITUTES[api.name].function.__name__
            groups.setdefault(rewriter.place.module, []).append(name if name == local else f"{name} as {local}")
        elif api.status == "cannot" and rewriter.guarded:
            module, _, name = path.rpartition(".")  # the author has an answer for what can't be imported
            home = module_there(module) or module.replace("torch", "oneflow", 1)
            groups.setdefault(home, []).append(name if name == local else f"{name} as {local}")
            rewriter.tell(
                node, "changed", api.name, "OneFlow has none: the answer in the code's own `except` is taken."
            )
        elif api.status == "cannot":
            rewriter.cannot(node, api.name, api.note)
            rewriter.needs_compat = True
            extra.append(f"{local} = {rewriter.missing_call(api.name, later=False)}")
        else:
            home, _, name = api.oneflow.rpartition(".")
            groups.setdefault(home, []).append(name if name == local else f"{name} as {local}")
            rewriter.tally.uses["same"] += 1

    def _from_the_tree(self, node: ast.ImportFrom) -> None:
        """`from .common import torch`: the other file binds it by its new name."""
        for alias in node.names:
            local = alias.asname or alias.name
            found = self.rewriter.meaning(local) if alias.name != "*" else None
            if found and found.renamed:
                start = self.rewriter.source.offset(alias.lineno, alias.col_offset)
                self.rewriter.source.replace(start, start + len(alias.name), found.renamed)

    def _of_the_package_around(self, node: ast.ImportFrom) -> None:
        """A relative import in a file that is ported without its package."""
        if not self.tells_of_package:
            reason = "It is imported from the package around this file, which is not ported along."
            self.rewriter.look(node, "." * node.level + (node.module or ""), reason, "port the package as a whole")
        self.tells_of_package = True

    def _of_others(self, node: ast.stmt, module: str) -> None:
        """Packages that need PyTorch themselves."""
        package = module.partition(".")[0]
        if package in forms.NEEDS_PYTORCH and package not in self.rewriter.project.modules:
            remedy = forms.NEEDS_PYTORCH[package] or "port it along, or write it without"
            self.rewriter.look(node, package, f"The package {package} imports PyTorch itself.", remedy)

    def _note_first(self, node: ast.stmt) -> None:
        self.first = self.first or node

    def _replace(self, node: ast.stmt, lines: list[str]) -> None:
        source = self.rewriter.source
        start, end = source.span(node)
        before = source.text[source.starts[node.lineno - 1] : start]
        between = f"{source.newline}{before}" if not before.strip() else "; "
        source.replace(start, end, between.join(lines or ["pass"]))
        if not lines:
            self._without_pass(node, start, end)

    def _without_pass(self, node: ast.stmt, start: int, end: int) -> None:
        """Takes a whole line away where something else is left in its block."""
        source = self.rewriter.source
        line = source.starts[node.lineno - 1]
        rest = re.compile(r"[ \t]*(?:\r\n|\r|\n)").match(source.text, end)
        siblings = self._block_of(node)
        if rest and not source.text[line:start].strip() and len(siblings) > 1:
            source.replace(line, rest.end(), "")

    def _block_of(self, node: ast.stmt) -> list[ast.stmt]:
        for parent in ast.walk(self.rewriter.source.tree):
            for part in ("body", "orelse", "finalbody"):
                block = getattr(parent, part, None)
                if isinstance(block, list) and node in block:
                    return [each for each in block if not isinstance(each, ast.Import | ast.ImportFrom) or each is node]
        return []

    def finish(self) -> None:
        """Imports what the rewritten uses need, before the first import of PyTorch or after the head of the file."""
        rewriter = self.rewriter
        lines = []
        if rewriter.needs_compat:
            lines.append(rewriter.place.statement)
        if rewriter.needs_flow and not self._binds_flow():
            lines.append(f"import oneflow as {rewriter.module.alias}".removesuffix(" as oneflow"))
        if rewriter.needs_flowvision:
            lines.append("import flowvision.layers")
        if not lines:
            return
        source, body = rewriter.source, rewriter.source.tree.body
        head = 0
        for number, statement in enumerate(body):
            is_docstring = number == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if is_docstring or (isinstance(statement, ast.ImportFrom) and statement.module == "__future__"):
                head = number + 1
        first = self.first.lineno if self.first is not None else 0
        begun = (each for each in body[head:] if each.lineno <= first <= (each.end_lineno or 0))
        place = next(begun, None)
        if not isinstance(place, ast.Import | ast.ImportFrom | ast.Try | ast.If):
            place = next(iter(body[head:]), None)
        text = "".join(f"{line}{source.newline}" for line in lines)
        if place is None:
            source.insert_first(len(source.text), text)
            return
        line = min([place.lineno, *(each.lineno for each in getattr(place, "decorator_list", ()))])
        start = source.span(place)[0] if line == place.lineno else source.starts[line - 1]
        if source.text[source.starts[line - 1] : start].strip():
            source.insert_first(start, "; ".join(lines) + "; ")
        else:
            source.insert_first(source.starts[line - 1], text)

    def _binds_flow(self) -> bool:
        """Whether `import torch` at the head of the file binds OneFlow already."""
        found = self.rewriter.scopes[self.rewriter.source.tree].imports.get("torch", ())
        return any(each.plain for each in found)
