"""Rewrites one file: each use of a name of PyTorch becomes the name that OneFlow or the compatibility module has.

Names that are equal in both stay as they are, so that what differs from the author's file is what differs in meaning.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping

from torch2flow.port import forms
from torch2flow.port.absent_methods import ABSENT_METHODS
from torch2flow.port.api import Api
from torch2flow.port.compat import SUBSTITUTES
from torch2flow.port.compat.methods import DTYPES_BY_TENSOR_TYPE
from torch2flow.port.compat_module import NAMES_OF
from torch2flow.port.findings import Tally
from torch2flow.port.imports import ImportRewriter
from torch2flow.port.layer_inputs import DIMENSIONS
from torch2flow.port.lookup import MODULES, find, is_foreign, longest, module_there, oneflow_path
from torch2flow.port.operands import Operands
from torch2flow.port.project import Meaning, Project, SourceModule
from torch2flow.port.scopes import COMPREHENSIONS
from torch2flow.port.source import PythonText, followed
from torch2flow.port.substituting import PLACE, has_own, is_placed, methods_called, needs_substitute, renamed_by
from torch2flow.port.under_way import COMPAT, FileUnderWay, Place


class Rewriter(FileUnderWay):
    """Makes the edits of one file."""

    def __init__(
        self, source: PythonText, module: SourceModule, project: Project, name: str = "", place: Place | None = None
    ) -> None:
        super().__init__(source, module, project, name, place)
        self._left_out: set[ast.keyword] = set()
        self._operands = Operands(self, self.path_of)
        self._imports = ImportRewriter(self)
        self._visitors: dict[type, Callable[..., None]] = {
            ast.Name: self._name, ast.Attribute: self._attribute, ast.Call: self._call, ast.Subscript: self._subscript,
            ast.Import: self._imports.rewrite, ast.ImportFrom: self._imports.rewrite_from, ast.Try: self._try,
            ast.FunctionDef: self._function, ast.AsyncFunctionDef: self._function, ast.Lambda: self._lambda,
            ast.ClassDef: self._class, ast.AnnAssign: self._annotated, ast.Expr: self._expression,
            ast.Assign: self._assignment, ast.JoinedStr: self._format_string, ast.For: self._loop,
            ast.BinOp: self._binary, ast.UnaryOp: self._unary, ast.AugAssign: self._in_place,
            ast.Compare: self._comparison,
        }  # fmt: skip
        self._visitors |= dict.fromkeys(COMPREHENSIONS, self._comprehension)

    def run(self) -> Tally:
        """Makes all edits.

        Raises:
            FormatError: the source nests too deep.
        """
        with followed():
            self.all(self.source.tree.body)
        self._operands.finish()
        self._imports.finish()
        self._visitors.clear()  # what refers to itself keeps its tree for ever, as long as no cycles are collected
        del self._imports, self._operands
        return self.tally

    # -- walking -------------------------------------------------------------------------------------------------------

    def all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            self.statement = node
        visitor = self._visitors.get(type(node))
        if visitor is not None:
            visitor(node)
        else:
            self.all(ast.iter_child_nodes(node))

    def _within(self, node: ast.AST, children: Iterable[ast.AST | None]) -> None:
        outer = self.scope
        self.scope = self.scopes.get(node, outer)
        self.all(children)
        self.scope = outer

    def _declared(self, nodes: Iterable[ast.AST | None]) -> None:
        """What Python evaluates when it reads a definition: defaults, annotations, base classes, decorators."""
        outer, self.later = self.later, True
        self.all(nodes)
        self.later = outer

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._decorators(node)
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        annotations = [each.annotation for each in every if each is not None]
        self._declared([*arguments.defaults, *arguments.kw_defaults, *annotations, node.returns])
        self._within(node, node.body)

    def _lambda(self, node: ast.Lambda) -> None:
        self._declared([*node.args.defaults, *node.args.kw_defaults])
        self._within(node, [node.body])

    def _class(self, node: ast.ClassDef) -> None:
        self._decorators(node)
        self._declared([*node.bases, *node.keywords])
        self._within(node, node.body)

    def _comprehension(self, node: ast.ListComp) -> None:
        self.visit(node.generators[0].iter)
        for generator in node.generators:
            self._within(node, [generator.target, *([] if generator is node.generators[0] else [generator.iter])])
            self._within(node, generator.ifs)
        self._within(node, [getattr(node, part, None) for part in ("elt", "key", "value")])

    def _format_string(self, node: ast.JoinedStr) -> None:
        """An f-string: what is put into it must not have its quotes, for Pythons before 3.12."""
        outer = self.quote
        if getattr(node, "lineno", 0):
            opening = re.compile(r"[A-Za-z]*(['\"])").match(self.source.of(node))
            self.quote = opening[1] if opening else ""
        self.all(node.values)
        self.quote = outer

    def _annotated(self, node: ast.AnnAssign) -> None:
        self._declared([node.annotation])
        self.all([node.target, node.value])

    def _try(self, node: ast.Try) -> None:
        outer, self.guarded = self.guarded, self.guarded or any(_takes_import_errors(each) for each in node.handlers)
        self.all(node.body)
        self.guarded = outer
        self.all([*node.handlers, *node.orelse, *node.finalbody])

    def _decorators(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            used = self.path_of(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if used in forms.COMPILER_MARKS:
                start, end = self.source.span(decorator)
                start = self.source.text.rindex("@", 0, start)
                rest = re.compile(r"[ \t]*(#[^\r\n]*)?(\r\n|\r|\n)[ \t]*").match(self.source.text, end)
                self.source.replace(start, rest.end() if rest else end, "")
                self._dropped(decorator, used, "OneFlow compiles nothing of this code")
            else:
                self._declared([decorator])

    def _expression(self, node: ast.Expr) -> None:
        value = node.value
        if isinstance(value, ast.Call):
            used = self.path_of(value.func)
            if used.startswith(forms.WITHOUT_EFFECT) and used not in SUBSTITUTES and find(used).status == "cannot":
                self._nothing(node, used)
                return
        self.visit(value)

    def _assignment(self, node: ast.Assign) -> None:
        parts = [part for each in node.targets for part in (each.elts if isinstance(each, ast.Tuple) else [each])]
        used = [self.path_of(part) for part in parts]
        if all(each.startswith(forms.WITHOUT_EFFECT) for each in used):
            self._nothing(node, used[0])
            return
        self._operands.assign(parts, node.value)
        for part in parts:
            self._operands.write_item(part)
        self.all([node.value, *node.targets])

    def _loop(self, node: ast.For) -> None:
        self._operands.loop(node)
        self.all(ast.iter_child_nodes(node))

    def _binary(self, node: ast.BinOp) -> None:
        self._operands.use(node.op, [node.left, node.right])
        self.all([node.left, node.right])

    def _unary(self, node: ast.UnaryOp) -> None:
        self._operands.use(node.op, [node.operand])
        self.visit(node.operand)

    def _comparison(self, node: ast.Compare) -> None:
        self._operands.compare(node)
        self.all([node.left, *node.comparators])

    def _in_place(self, node: ast.AugAssign) -> None:
        self._operands.use(node.op, [node.target, node.value], in_place=True)
        self._operands.write_item(node.target)
        self.all([node.target, node.value])

    def _nothing(self, node: ast.stmt, used: str) -> None:
        """A statement without effect in OneFlow."""
        first = " ".join(self.source.of(node).split())
        self.source.replace(*self.source.span(node), "pass")
        self._dropped(node, used, "OneFlow has no such setting")
        self.comment(f"left out, since OneFlow has no such setting: {first}")

    # -- names ---------------------------------------------------------------------------------------------------------

    def chain(self, node: ast.AST) -> tuple[Meaning, list[ast.expr]]:
        """A dotted name as what its beginning means, and the nodes from that beginning on, the longest last."""
        nodes: list[ast.expr] = []
        while isinstance(node, ast.Attribute):
            nodes.append(node)
            node = node.value
        if not isinstance(node, ast.Name):
            return Meaning(), []
        nodes.append(node)
        nodes.reverse()
        found = self.meaning(node.id, node)
        while found.path.startswith(".") and len(nodes) > 1:
            head = nodes[1]
            assert isinstance(head, ast.Attribute)
            found = self.project.attribute(found, head.attr)
            nodes = nodes[1:]
        return (found, nodes) if is_foreign(found.path) else (Meaning(), [])

    def path_of(self, node: ast.AST) -> str:
        """The path in PyTorch that a dotted name has; "" for any other expression."""
        found, nodes = self.chain(node)
        if not found:
            return ""
        path = ".".join([found.path, *(each.attr for each in nodes[1:] if isinstance(each, ast.Attribute))])
        return find(path).name

    def _name(self, node: ast.Name) -> None:
        self._use(node)

    def _attribute(self, node: ast.Attribute) -> None:
        if self._use(node):
            return
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):  # what begins otherwise than PyTorch's names do is none of them
            self._method(inner, None)
            inner = inner.value
        self.visit(inner)

    def _method(self, node: ast.Attribute, call: ast.Call | None) -> None:
        """An attribute of what may be a tensor or a module: the compatibility module gives these what they lack."""
        self._operands.made(node.attr, call)
        if node.attr in ABSENT_METHODS:
            self.look(node, f"torch.Tensor.{node.attr}", "OneFlow's tensors have no such method.", "write it otherwise")
        for path in methods_called(node.attr):
            substitute = SUBSTITUTES[path]
            needed = not find(path).oneflow or needs_substitute(substitute, call, bound=True)
            if substitute.attribute is (call is None) and needed:
                self.uses_compat(path)
                self.needs_compat = True

    def _use(self, node: ast.Name | ast.Attribute, call: ast.Call | None = None) -> bool:
        """Rewrites a dotted name, if it is one of PyTorch's."""
        found, nodes = self.chain(node)
        if not found or not nodes or not getattr(node, "lineno", 0):
            return False
        attributes = [each.attr for each in nodes[1:] if isinstance(each, ast.Attribute)]
        api, taken = longest([found.path, *attributes])
        self._write(api, found, nodes, taken, call)
        return True

    def _write(self, api: Api | None, found: Meaning, nodes: list[ast.expr], taken: int, call: ast.Call | None) -> None:
        root, whole = nodes[0], nodes[taken - 1]
        if api is not None:
            self._operands.made(api.name, call)
        direct = isinstance(root, ast.Name) and taken == 1 and not found.starred
        renamed: Mapping[str, str] = {} if api is None else api.renamed
        if api is None:  # a module as a value
            path = ".".join([found.path, *(each.attr for each in nodes[1:taken] if isinstance(each, ast.Attribute))])
            if module_there(path):
                self._rename(root, found)
            else:
                self._missing(path, found, root, whole, False)
        elif api.name in forms.VALUES:
            self.tally.uses["compat"] += 1
            self._put(whole, self.value_of(api.name), direct)
        elif api.name in forms.ANSWERS and call is not None:
            self._put(call, forms.ANSWERS[api.name], False)
            self.tally.uses["dropped"] += 1
        elif api.status == "rule" and (not api.oneflow or needs_substitute(SUBSTITUTES[api.name], call)):
            self.uses_compat(api.name)
            substitute = SUBSTITUTES[api.name]
            renamed = renamed_by(substitute)
            self._put(whole, f"{COMPAT}.{substitute.function.__name__}", direct and not has_own(api.name, api.oneflow))
        elif api.status == "cannot":
            self._missing(api.name, found, root, whole, direct, api.note)
        else:
            self.tally.uses["same"] += 1
            self._note(api, root)
            starred = found.starred and taken == 1
            if not direct and not (starred and api.oneflow == oneflow_path(found.path)):
                self._spell(api, found, root, whole)
        if call is not None and api is not None:
            self._place(call, api)
            self._arguments(call, api, renamed)

    def _place(self, call: ast.Call, api: Api) -> None:
        """Takes note of modules of which OneFlow's take no place, no dtype or no single sample, or lose digits."""
        lacking = (SUBSTITUTES[api.name].only_with or ()) if api.status == "rule" else api.arguments
        home, _, kind = api.name.rpartition(".")
        if home == "torch.nn" and kind in DIMENSIONS:
            self.tally.compat.add("samples")
        if api.name == "torch.autograd.grad":
            self.tally.compat.add("gradients")
        if home == "torch.nn" and kind.startswith("BatchNorm"):
            self.tally.compat.add("statistics")
        if is_placed(api.name, lacking) and any(keyword.arg in (*PLACE, None) for keyword in call.keywords):
            self.needs_compat = True
            self.tally.compat.add("placement")

    def _spell(self, api: Api, found: Meaning, root: ast.expr, whole: ast.expr) -> None:
        """Writes the name that OneFlow has, by the module that the code has a name for where that leads there."""
        here = module_there(found.path)
        if here and api.oneflow.startswith(f"{here}.") and not found.starred:
            start, end = self._last_name(root)
            name, whole_end = self.source.text[start:end], self.source.span(whole)[1]
            rest = api.oneflow[len(here) :]
            if "".join(self.source.text[end:whole_end].split()) == rest:
                self._rename(root, found)
            else:
                self.source.replace(start, whole_end, (found.renamed or name) + rest)
        elif api.oneflow.startswith("oneflow."):
            self.needs_flow = True
            self.source.replace(*self.source.span(whole), self.module.alias + api.oneflow[7:])
        else:
            self.needs_flowvision = True
            self.source.replace(*self.source.span(whole), api.oneflow)

    def _last_name(self, node: ast.expr) -> tuple[int, int]:
        """Where the last name of a dotted name stands."""
        start, end = self.source.span(node)
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
        return (end - len(name), end) if isinstance(node, ast.Attribute) else (start, end)

    def _rename(self, root: ast.expr, found: Meaning) -> None:
        if found.renamed:
            self.source.replace(*self._last_name(root), found.renamed)

    def _put(self, node: ast.AST, text: str, direct: bool) -> None:
        """Puts a text in the place of a name; what is imported by itself is renamed where it is imported."""
        if not direct:
            self.source.replace(*self.source.span(node), text)
            self.needs_compat |= text.startswith(COMPAT)

    def _missing(
        self, name: str, found: Meaning, root: ast.expr, whole: ast.expr, direct: bool, note: str = ""
    ) -> None:
        if direct:
            return  # it is told where it is imported
        self.cannot(root, name, note)
        if isinstance(getattr(whole, "ctx", None), ast.Load):
            self._put(whole, self.missing_call(name, self.later), direct)
        else:
            self._rename(root, found)

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> None:
        used = self.path_of(node.func)
        if used in forms.COMPILER_MARKS and node.args and not isinstance(node.args[0], ast.Starred):
            self._first_argument(node, used)
            return
        if isinstance(node.func, ast.Name | ast.Attribute) and self._use(node.func, node):
            pass
        else:
            if isinstance(node.func, ast.Attribute) and _changes_nothing(node):
                self.source.replace(self.source.span(node.func.value)[1], self.source.span(node)[1], "")
                self._dropped(node, "torch.Tensor.to", forms.DROPPED_ARGUMENTS["memory_format"])
                self.visit(node.func.value)
                return
            if isinstance(node.func, ast.Attribute) and node.func.attr in forms.METHODS_WITH_DROPPED:
                for keyword in node.keywords:
                    if keyword.arg in ("memory_format", "non_blocking"):
                        self._drop(node, keyword, f"torch.Tensor.{node.func.attr}")
            if isinstance(node.func, ast.Attribute):
                kept = [keyword for keyword in node.keywords if keyword not in self._left_out]
                self._method(node.func, ast.Call(node.func, node.args, kept))
                self.visit(node.func.value)
            else:
                self.visit(node.func)
        self._looked_up_by_text(node)
        self._asked_for_a_package(node)
        self._asked_for_a_type(node)
        if "deepcopy" in (getattr(node.func, "attr", ""), getattr(node.func, "id", "")):
            self.needs_compat = True
            self.tally.compat.add("copies")
        if isinstance(node.func, ast.Name) and node.func.id == "setattr" and len(node.args) == 3:
            text = node.args[1]
            self._operands.attribute(node.args[0], str(text.value) if isinstance(text, ast.Constant) else "_")
        self.all(node.args)
        self.all(keyword.value for keyword in node.keywords if keyword not in self._left_out)

    def _first_argument(self, node: ast.Call, used: str) -> None:
        """`torch.compile(model, mode="x")` is the model."""
        start, end = self.source.span(node)
        first = node.args[0]
        inner = self.source.span(first)
        plain = isinstance(first, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
        self.source.replace(start, inner[0], "" if plain else "(")
        self.source.replace(inner[1], end, "" if plain else ")")
        self._dropped(node, used, "OneFlow compiles nothing of this code")
        self.visit(first)

    def _arguments(self, call: ast.Call, api: Api, renamed: Mapping[str, str]) -> None:
        """Drops what changes nothing, renames what OneFlow calls otherwise, and tells of what it lacks."""
        for keyword in call.keywords:
            name = keyword.arg or ""
            if name in renamed:
                start = self.source.offset(keyword.lineno, keyword.col_offset)
                self.source.replace(start, start + len(name), renamed[name])
            elif name == "out" and api.status in ("equal", "part") and api.oneflow.startswith("oneflow."):
                self._stored(call, keyword)
            elif name in ("memory_format", "layout") and api.status in ("equal", "part"):
                self._drop(call, keyword, api.name)
            elif is_placed(api.name, api.arguments) and name in PLACE:
                pass  # the compatibility module gives OneFlow's classes these
            elif name in api.arguments:
                nothing = isinstance(keyword.value, ast.Constant) and keyword.value.value is None
                if nothing or name in forms.DROPPED_ARGUMENTS:
                    self._drop(call, keyword, api.name)
                else:
                    self.cannot(call, f"{api.name}({name}=)", f"OneFlow's {api.oneflow} has no argument {name!r}.")

    def _stored(self, call: ast.Call, keyword: ast.keyword) -> None:
        """`torch.mul(a, b, out=c)`: OneFlow's functions have no `out`, so the result goes into that tensor."""
        start, end_of_out = self.source.span(call)[0], self.source.span(keyword.value)[1]
        end_of_others = max(
            (self.source.span(each)[1] for each in [*call.args, *[k.value for k in call.keywords if k is not keyword]]),
            default=start,
        )
        before = re.compile(r"\s*,\s*$").search(
            self.source.text, start, self.source.offset(keyword.lineno, keyword.col_offset)
        )
        if end_of_others > end_of_out or before is None:
            self.cannot(call, "out", "OneFlow's function has no argument 'out'.")
            return
        self.tally.compat.add("stored")
        self.needs_compat = True
        self.source.insert_first(start, f"{COMPAT}.stored(")
        self.source.replace(before.start(), self.source.span(keyword.value)[0], "), ")

    def _drop(self, call: ast.Call, keyword: ast.keyword, api: str) -> None:
        name = keyword.arg or ""
        self._left_out.add(keyword)
        start = self.source.offset(keyword.lineno, keyword.col_offset)
        end = self.source.offset(keyword.end_lineno or 0, keyword.end_col_offset or 0)
        text = self.source.text
        after = re.compile(r"\s*,[ \t]*(?:\\?(?:\r\n|\r|\n)[ \t]*)?").match(text, end)
        before = re.compile(r"\s*,\s*$").search(text, self.source.span(call.func)[1], start)
        if before and not (after and text[after.end() : after.end() + 1] not in (")", "")):
            start = before.start()
        elif after:
            end = after.end()
        self.source.replace(start, end, "")
        self._dropped(call, f"{api}({name}=)", forms.DROPPED_ARGUMENTS.get(name, "it is the default"))

    def _subscript(self, node: ast.Subscript) -> None:
        if self.path_of(node.value) == "torch.jit.Final":
            start, end = self.source.span(node)
            inner = self.source.span(node.slice)
            self.source.replace(start, inner[0], "")
            self.source.replace(inner[1], end, "")
            self._dropped(node, "torch.jit.Final", "it tells PyTorch's compiler something")
            self.visit(node.slice)
        else:
            self.all([node.value, node.slice])

    def _looked_up_by_text(self, node: ast.Call) -> None:
        """`getattr(optim, name)`: which name that is, is known when the code runs, so all substitutes are at hand."""
        if isinstance(node.func, ast.Name) and node.func.id in ("exec", "eval"):
            texts = [str(getattr(each, "value", "")) for given in node.args[:1] for each in ast.walk(given)]
            if any(re.search(r"\btorch\.", text) for text in texts):
                self.look(node, "torch", f"Code in a text, for `{node.func.id}`, stays as it is.", "write it as code")
        if not isinstance(node.func, ast.Name) or node.func.id not in ("getattr", "hasattr") or len(node.args) < 2:
            return
        used, name = self.path_of(node.args[0]), node.args[1]
        if used in MODULES and module_there(used).startswith("oneflow"):
            known = isinstance(name, ast.Constant) and isinstance(name.value, str)
            if node.func.id == "hasattr":
                asked = find(f"{used}.{name.value}") if known else None  # type: ignore[attr-defined]
                if asked is not None and asked.status == "rule" and not asked.oneflow:
                    self.source.replace(*self.source.span(node), "True")
                return
            if not known or find(f"{used}.{name.value}").status == "rule":  # type: ignore[attr-defined]
                self.tally.compat.add(NAMES_OF + used)
                self._put(node.args[0], f"{COMPAT}.{used.replace('.', '_')}", False)
                self.look(node, used, "The name is looked up as text when the code runs.", "see that OneFlow has it")

    def _asked_for_a_package(self, node: ast.Call) -> None:
        """`importlib.util.find_spec(name)`: PyTorch is asked for, or which package it is, is known when it runs."""
        asked = forms.ASKS_FOR_PACKAGES.get(self.imported_path(node.func), "")
        first = node.args[0] if node.args else None
        known = isinstance(first, ast.Constant) and str(first.value).partition(".")[0] != "torch"
        if asked and first is not None and not known:
            self.tally.compat.add(asked)
            self._put(node.func, f"{COMPAT}.{asked}", False)

    def _asked_for_a_type(self, node: ast.Call) -> None:
        """`isinstance(x, torch.FloatTensor)`: OneFlow's tensors are of no such class."""
        if getattr(node.func, "id", "") != "isinstance" or len(node.args) != 2:
            return
        for each in node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]:
            owner, _, kind = self.path_of(each).rpartition(".")
            if owner in ("torch", "torch.cuda") and kind in DTYPES_BY_TENSOR_TYPE:
                self.tally.compat.add("of_type")
                self.needs_compat = True
                start, end = self.source.span(each)
                self.source.insert_first(start, f"{COMPAT}.of_type(")
                self.source.replace(end, end, ")")

    def _dropped(self, node: ast.AST, api: str, reason: str) -> None:
        self.tally.uses["dropped"] += 1
        self.tell(node, "changed", api, f"Left out: {reason}.")

    def _note(self, api: Api, node: ast.AST) -> None:
        if api.is_silent:  # what OneFlow refuses, it tells itself
            self.look(node, api.name, api.note, "see whether the code depends on it")


def _changes_nothing(node: ast.Call) -> bool:
    """Whether a call is `x.to(memory_format=...)`, which is `x` where there is one memory format."""
    names = {keyword.arg for keyword in node.keywords}
    is_to = isinstance(node.func, ast.Attribute) and node.func.attr == "to"
    return is_to and not node.args and bool(names) and names <= {"memory_format", "non_blocking"}


def _takes_import_errors(handler: ast.ExceptHandler) -> bool:
    """Whether the author has an answer for a name that can't be imported."""
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(each, ast.Name) and each.id in _IMPORT_ERRORS for each in types)


_IMPORT_ERRORS = ("ImportError", "ModuleNotFoundError", "Exception", "AttributeError", "BaseException")
