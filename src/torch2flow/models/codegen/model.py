"""The whole model as source: walks the classes of the original, the inner ones first, and makes a class of each."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from torch2flow.errors import UnsupportedError
from torch2flow.models.codegen.adjustments import access, added_tensor, same_modules
from torch2flow.models.codegen.borders import leaf, loose, pruned, records_in, same_content
from torch2flow.models.codegen.drafts import Blueprint, Construct, Draft, Instance, New, Own
from torch2flow.models.codegen.environment import Environment
from torch2flow.models.codegen.inferred_borders import infer_borders
from torch2flow.models.codegen.library_classes import Use
from torch2flow.models.codegen.literals import attribute, literal
from torch2flow.models.codegen.local_names import name_values
from torch2flow.models.codegen.loops import roll
from torch2flow.models.codegen.module_tree import Module, class_groups, module_tree
from torch2flow.models.codegen.names import OF_CONTAINERS, RESERVED, class_name, free_name, is_attribute
from torch2flow.models.codegen.numbered import ModuleLists, folded
from torch2flow.models.codegen.operators import Operators, on_device
from torch2flow.models.codegen.ready_modules import ReadyModules, container, list_of_parameters, new_module
from torch2flow.models.codegen.signature import InputNames, records, returned
from torch2flow.models.codegen.statements import Body, Finish
from torch2flow.models.codegen.steps import Given, no_grad, read_steps
from torch2flow.models.codegen.variants import (
    merged_calls,
    merged_classes,
    merged_modes,
    use_listed_facts,
)
from torch2flow.models.codegen.written_defaults import write_defaults
from torch2flow.models.lowering.modules.table import Made
from torch2flow.models.program import Frame, Graph, Node, Ref, State, Structure, Tree
from torch2flow.models.program.calls import Call, call_tree, is_inside, lent, lent_path, reachable
from torch2flow.models.program.control_flow import CONTROLS, FUNCTION


class ModelWriter:
    """Makes the classes of a program.

    Args:
        graph: a functional program, or those of both modes, as `both_modes.joined` gives them.
        values: gives the expression for a tensor that is not in the `state_dict()`, in the dtype it is used in.

    Attributes:
        blueprints: the classes, in the order in which they are made.
        constructs: how each module is made, by its path.
    """

    def __init__(self, graph: Graph, values: Callable[[State, str], ast.expr]) -> None:
        self.graph, self.values = graph, values
        programs = [graph] if graph.other is None else [graph, graph.other]
        roots = [call_tree(each) for each in programs]
        self.programs = {id(root): program for root, program in zip(roots, programs, strict=True)}
        for root, program in zip(roots, programs, strict=True):
            if not program.borders:
                infer_borders(program, root)
        self.calls = [call for root in roots for call in root.calls()]
        self.in_train_mode = {id(call) for root in roots[1:] for call in root.calls()}
        self.tree = module_tree(graph, self.calls)
        self.operators = Operators(graph)
        self.modules = {module.path: module for module in self.tree.walk()}
        graph.attributes = {path: _facts(self.modules.get(path), held) for path, held in graph.attributes.items()}
        self.blueprints: list[Blueprint] = []
        self.constructs: dict[str, Construct] = {}
        self.given: dict[int, Given] = {}
        self.same = same_modules(self.tree)
        self.methods: dict[int, int] = {}
        self.method_names: dict[int, str] = {}
        self.parameter_names: dict[int, list[str]] = {}
        self.returned_names: dict[int, str] = {}
        self.used: dict[str, set[str]] = {}
        self.held: dict[str, set[str]] = {}
        self.functions: list[ast.ClassDef] = []
        calls = (node for program in programs for node in program.nodes if node.operator == FUNCTION)
        self.function_names = {node.arguments["name"] for node in calls}
        self.records = records(Tree("tuple", (), tuple(program.output_tree for program in programs)))
        self.inputs_tree = InputNames(graph)
        self.ready = ReadyModules(graph, self.modules, set().union(*map(_in_place, programs)))
        self.producers = {name: node for program in programs for node in program.nodes for name in node.outputs}

    def write(self) -> Instance:
        """Makes every class; the model itself is returned."""
        for group in class_groups(self.tree, self._is_plain):
            self._write_class(group)
        construct = self.constructs[""]
        assert isinstance(construct, Instance)
        return construct

    def uses(self) -> dict[str, Use]:
        """How the modules of each class that is copied are called."""
        found: dict[str, Use] = {}
        for path, construct in self.constructs.items():
            if isinstance(construct, New) and not construct.function.value.text.startswith("nn."):
                use = found.setdefault(construct.function.value.text, Use())
                for call in self.modules[path].calls:
                    given = [(name, each) for name, each in self.given[id(call)][0] if each.kind != "none"]
                    use.add({name: self._rank(each) for name, each in given})
        return found

    def _rank(self, structure: Structure) -> int:
        return len(self.graph.metas[structure.value].shape) if structure.kind == "value" else 0

    # Classes.

    def _write_class(self, modules: list[Module]) -> None:
        """Makes the class or classes of modules that are of one class in the original."""
        for module in modules:
            self._make_lent(module)
        drafts = [
            self._draft(module, {n: self._construct(c) for n, c in module.children.items()}) for module in modules
        ]
        use_listed_facts(drafts)
        write_defaults(drafts)
        held = {name for module in modules for name in self.held.get(module.path, ())}
        for draft in drafts:
            draft.owns[:0] = [_kept(name, value) for name, value in draft.facts.items() if name in held]
        signature = self.graph.signatures.get(modules[0].original_class)
        parameters = signature.constructor if signature else ()
        for draft, members in merged_classes(drafts):
            rows = [member.row for member in members]
            facts = [drafts[member.number].facts for member in members]
            blueprint = Blueprint(draft, rows, facts, parameters)
            self.blueprints.append(blueprint)
            for member in members:
                module = modules[member.number]
                self.constructs[module.path] = Instance(blueprint, member.row)
                for call in module.calls if draft.methods and module is not self.tree else ():
                    number = self.methods[id(call)] - 1
                    self._settle_call(call, member.parameters[number], draft.methods[number])

    def _make_lent(self, module: Module) -> None:
        """Makes the modules that this one calls and does not hold, as far as they need no class.

        Raises:
            UnsupportedError: two modules call each other.
        """
        for call in module.calls:
            for item in call.own_items():
                other = self.modules[item.path] if lent(item, call.path) else None
                if other is None or other.path in self.constructs:
                    continue
                if not self._is_plain(other):
                    raise UnsupportedError(
                        f"{other.path or 'The whole model'} is called inside {call.path}, which it holds or calls too.",
                        remedy="call it in the module that holds both",
                    )
                self._construct(other)

    def _settle_call(self, call: Call, renamed: dict[str, str], method: ast.FunctionDef) -> None:
        """Tells the callers of a method what its parameters are called in the class."""
        self._rename_arguments(call, renamed)
        self.parameter_names[id(call)] = [argument.arg for argument in method.args.args[1:]]
        match method.body[-1]:
            case ast.Return(value=ast.Name(id=name)):
                self.returned_names[id(call)] = name

    def _rename_arguments(self, call: Call, renamed: dict[str, str]) -> None:
        arguments, result = self.given[id(call)]
        self.given[id(call)] = [(renamed.get(name, name), each) for name, each in arguments], result

    # Modules.

    def _is_second_name(self, module: Module) -> bool:
        """Whether a module is another one, and only called by the name of that."""
        return module.path in self.same and not any(inner.calls for inner in module.walk())

    def _is_plain(self, module: Module) -> bool:
        """Whether a module needs no class of its own: it is OneFlow's, or a container, or did nothing."""
        if not module.path:
            return False
        if self.ready.of(module) is not None:
            return True
        if OF_CONTAINERS.intersection(module.children):
            return False
        if not module.calls and (not module.states or module.is_list_of_parameters):
            return True
        if self._is_second_name(module):
            return True
        if not module.calls and not module.children and self.ready.holder(module) is not None:
            return True
        return module.short_class in ("Sequential", "ModuleList") and self._is_chain(module)

    def _construct(self, module: Module) -> Construct:
        if module.path not in self.constructs:
            if self._is_plain(module):
                self.constructs[module.path] = self._plain(module)
            else:
                self._write_class([module])  # One of its modules turned out to have several methods.
        return self.constructs[module.path]

    def _plain(self, module: Module) -> Construct:
        for call in module.calls:
            self.given[id(call)] = self.ready.border(call)
        if self._is_second_name(module):
            return new_module(Made("nn.Identity", {}))
        ready = self.ready.of(module)
        if ready is not None:
            return ready
        if module.is_list_of_parameters:
            return list_of_parameters([self.graph.metas[value].hint for value, _ in module.states.values()])
        children = {name: self._construct(child) for name, child in module.children.items()}
        if not module.calls and not module.states:
            return self._uncalled(module, children)
        holder = None if module.calls or children else self.ready.holder(module)
        return holder or container("nn.Sequential", children)

    def _uncalled(self, module: Module, children: dict[str, Construct]) -> Construct:
        if not children:
            return new_module(Made("nn.Identity"))
        return container("nn.ModuleList" if module.is_counted else "nn.ModuleDict", children)

    def is_gone(self, module: Module) -> bool:
        """Whether a module left no trace in the program: an Identity, a DropPath in eval mode."""
        return bool(module.path) and not (module.calls or module.states or module.children)

    def _is_chain(self, module: Module) -> bool:
        """Whether each call only passes one value through the children, in their order."""
        order = list(module.children)
        modes: set[frozenset[str]] = set()
        for call in module.calls:
            if len(call.inputs) != 1 or len(call.outputs) != 1 or not call.items:
                return False
            value, position = call.inputs[0], -1
            for item in call.items:
                if isinstance(item, Node) or item.inputs != [value] or len(item.outputs) != 1:
                    return False
                owner, _, name = item.path.rpartition(".")
                if owner != module.path or order.index(name) <= position or self._method(item) != "forward":
                    return False
                value, position = item.outputs[0], order.index(name)
            if value != call.outputs[0]:
                return False
            if len({no_grad(item) for item in call.items}) > 1:
                return False
            called = {item.path for item in call.items}
            modes.add(frozenset(called))
            skipped = [child for child in module.children.values() if child.path not in called]
            if any(child.states or child.children for child in skipped):
                return False
        return len(modes) < 2  # another child is called in train mode than in eval mode

    def _draft(self, module: Module, children: dict[str, Construct]) -> Draft:
        chain = bool(module.calls) and module.is_counted and not module.states and self._is_chain(module)
        base = "nn.Sequential" if module.is_counted else "nn.Module"
        if chain:
            for call in module.calls:
                self.given[id(call)] = [("", leaf(value)) for value in call.inputs], loose(call.outputs)
        methods = [] if chain else self._methods(module)
        owns = [
            Own(name, added_tensor(attribute("self"), name, state, self.graph.metas[value], self.values))
            for name, (value, state) in module.states.items()
            if state.kind != "constant" or self.graph.metas[value].shape
        ]
        if base == "nn.Module":
            children = folded(children)
        signature = self.graph.signatures.get(module.original_class)
        return Draft(
            class_name(module.short_class or module.name or "Model"),
            base,
            owns,
            children,
            methods,
            facts=self.graph.attributes.get(module.path, {}),
            forward=signature.forward if signature else (),
        )

    # Methods.

    def _methods(self, module: Module) -> list[ast.FunctionDef]:
        """`forward`, and another method for each call of the module that differs from those before."""
        found: dict[str, ast.FunctionDef] = {}
        signature = self.graph.signatures.get(module.original_class)
        forward = signature.forward if signature else ()
        for call, method in self._methods_of_modes(module, forward):
            method = found.setdefault(ast.dump(method), method)
            number = list(found.values()).index(method) + 1
            self.methods[id(call)] = number
        merged = merged_calls(list(found.values()), forward) if len(found) > 1 else None
        if merged is not None:
            method, names = merged
            for call in module.calls:
                self._rename_arguments(call, names[self.methods[id(call)] - 1])
                self.methods[id(call)] = 1
            found = {"": method}
        for number, method in enumerate(found.values(), start=1):
            name = _method_name(number)
            method.name = free_name(name, lambda each: each in module.children or each in module.states)
        for call in module.calls:
            self.method_names[id(call)] = list(found.values())[self.methods[id(call)] - 1].name
        return list(found.values())

    def _methods_of_modes(self, module: Module, forward: tuple[str, ...]) -> Iterator[tuple[Call, ast.FunctionDef]]:
        """What each call of a module does; the same for both modes where one method can do what both do."""
        methods = {
            id(call): self._root_method(call) if id(call) in self.programs else self._method_of(call)
            for call in module.calls
        }
        calls = [[call for call in module.calls if (id(call) in self.in_train_mode) is mode] for mode in (False, True)]
        for pair in zip(*calls, strict=True) if len(calls[0]) == len(calls[1]) else ():
            one, two = (methods[id(call)] for call in pair)
            if ast.dump(one) == ast.dump(two):
                continue
            merged = merged_modes(one, two, forward)
            if merged is None:
                continue
            method, renamed = merged
            for call, each in zip(pair, renamed, strict=True):
                methods[id(call)] = method
                if module is not self.tree:
                    self._rename_arguments(call, each)
            if module is self.tree:
                method.args = one.args
        return ((call, methods[id(call)]) for call in module.calls)

    def _method_of(self, call: Call) -> ast.FunctionDef:
        arguments, result = self._arguments(call), self._result(call)
        steps = read_steps(call, self.graph, result, self.given)
        names = name_values(steps, arguments, self)
        for each in (result, *(structure for _, structure in arguments)):
            for name, fields in records_in(each):
                self.records[name] = tuple(dict.fromkeys([*self.records.get(name, ()), *fields]))
        pairs = zip(names.parameters, arguments, strict=True)
        self.given[id(call)] = [(name, structure) for name, (_, structure) in pairs], result
        body = Body(self, steps, names)
        statements = roll(body.write(), ModuleLists(self.modules, call.path))
        self._drop_unread(call, statements, {each.value for name, each in arguments if not name})
        self.held.setdefault(call.path, set()).update(body.held)
        given = dict(self.given[id(call)][0])
        missing = [name for name in given if given[name].kind == "none"]
        order = ["self", *(name for name in given if name not in missing), *missing]
        defaults: list[ast.expr] = [ast.Constant(None) for _ in missing]
        arguments_ = ast.arguments([], [ast.arg(name) for name in order], None, [], [], None, defaults)
        return ast.FunctionDef("forward", arguments_, statements, [])

    def block(
        self, call: Call, values: list[Any], environment: Environment, kept: set[str], finish: Finish
    ) -> list[ast.stmt]:
        """The statements of a branch, or of a part of a loop.

        Args:
            call: the block.
            values: what it gives.
            environment: the names that hold where it begins.
            kept: those that it may not give to anything else.
            finish: writes what is done with the values.
        """
        result = Structure("tuple", children=tuple(leaf(value.name) for value in values if isinstance(value, Ref)))
        steps = read_steps(call, self.graph, result, self.given)
        for name in kept:
            steps.last_use.update(dict.fromkeys(environment[name].values(), len(steps.steps) + 1))
        body = Body(self, steps, name_values(steps, [], self, environment, kept), environment)
        statements = roll(body.write_block(finish), ModuleLists(self.modules, call.path))
        self.held.setdefault(call.path, set()).update(body.held)
        return statements

    def _drop_unread(self, call: Call, statements: list[ast.stmt], added: set[str]) -> None:
        """Takes away the parameters that a body never reads: its author has none for what was `added`, as for a size
        that is not asked for in the end, or it has the same value under another name."""
        read = {node.id for each in statements for node in ast.walk(each) if isinstance(node, ast.Name)}
        arguments, result = self.given[id(call)]
        kept: list[tuple[str, Structure]] = []
        for name, each in arguments:
            again = each.kind == "value" and any(
                same_content(each, other) for _, other in arguments if other is not each
            )
            if name in read or not (again or (each.kind == "value" and each.value in added)):
                kept.append((name, each))
        self.given[id(call)] = kept, result

    def _root_method(self, call: Call) -> ast.FunctionDef:
        inputs, program = self.inputs_tree, self.programs[id(call)]
        call.inputs = list(inputs.values)
        results = [leaf(value.name) for value in program.outputs if isinstance(value, Ref)]
        steps = read_steps(call, self.graph, Structure("tuple", children=tuple(results)), self.given)
        given = {name: leaf(value) for value, name in inputs.values.items()}
        names = name_values(steps, [], self, given)
        body = Body(self, steps, names, given, list(inputs.unpacking))

        def result(body: Body) -> ast.expr:
            return returned(program.output_tree, [body.argument(value) for value in program.outputs])

        statements = roll(body.write(result), ModuleLists(self.modules, ""))
        self.held.setdefault(call.path, set()).update(body.held)
        return ast.FunctionDef("forward", inputs.arguments, statements, [])

    def _arguments(self, call: Call) -> list[tuple[str, Structure]]:
        """What a call is given, as far as its class uses it; without a name where the author's is not known."""
        used = self._used_parameters(call.frame.class_name)
        recorded = call.border.arguments if call.border else ()
        arguments = [
            (name, each) for name, each in recorded if self._needs(call, each) or (name in used and each.kind == "none")
        ]
        known = {value for _, each in arguments for value in each.values()}
        arguments += [("", leaf(value)) for value in call.inputs if value not in known]
        if self.graph.borders:
            return arguments
        places = {value: place for place, value in enumerate(call.inputs)}
        return sorted(arguments, key=lambda each: min(places.get(value, 0) for value in each[1].values()))

    def _needs(self, call: Call, given: Structure) -> bool:
        """Whether a call uses something of an argument."""
        return any(value in call.inputs for value in given.values())

    def _used_parameters(self, class_name: str) -> set[str]:
        """The parameters of which any call of a class uses something."""
        if class_name not in self.used:
            calls = [call for call in self.calls if call.frame.class_name == class_name and call.border]
            self.used[class_name] = {
                name
                for call in calls
                if call.border is not None
                for name, each in call.border.arguments
                if self._needs(call, each)
            }
        return self.used[class_name]

    def _result(self, call: Call) -> Structure:
        """What a call gives: as the author returns it, without the values that are not at hand at its end."""
        if call.border is None:
            return loose(call.outputs)
        made = {value for _, each in self._arguments(call) for value in each.values()}
        for item in call.items:
            if isinstance(item, Node):
                made.update(item.outputs)
            elif not item.is_block:
                made.update(self.given[id(item)][1].values())
        return pruned(call.border.result, made)

    # What bodies ask (`statements.Context`, `local_names.Surroundings`).

    def operator(self, node: Node, body: Body) -> ast.expr:
        return self.operators.expression(node, body)

    def state(self, name: str, path: str) -> ast.expr | None:
        state = self.graph.states[name]
        if state.kind == "constant" and self.graph.metas[name].shape == ():
            return self.values(state, self.graph.metas[name].dtype)
        state = reachable(self.graph, name, path)  # type: ignore[assignment]
        return None if state is None else self.access(path, state.path)

    def on_device(self, expression: ast.expr, body: Body) -> ast.expr:
        return on_device(expression, body)

    def child(self, call: Call, path: str, module: ast.expr | None) -> ast.expr:
        function = module or self.access(path, call.path)
        method = self._method(call)
        return function if method == "forward" else ast.Attribute(function, method, ast.Load())

    def linear(self, owner: str, path: str, *, has_bias: bool) -> ast.expr | None:
        """A module that is a Linear and is never called, as the module at `path` names it; None where it is none."""
        module = self.modules[owner]
        construct = self.constructs.get(owner)
        if module.calls or not isinstance(construct, New) or construct.function.value.text != "nn.Linear":
            return None
        if not is_inside(owner, path) or construct.slots["bias"].value is not has_bias:
            return None
        return self.access(path, owner)

    def _method(self, call: Call) -> str:
        return self.method_names.get(id(call), "forward")

    def parameters(self, call: Call) -> list[str]:
        """The parameters of the method that a call runs; OneFlow's own modules are given theirs by position."""
        return self.parameter_names.get(id(call), [name for name, _ in self.given[id(call)][0]])

    def keywords(self, call: Call) -> tuple[str, ...]:
        """What is given by keyword to a class that has PyTorch's own parameters, as the author gives it."""
        ready = isinstance(self.constructs.get(call.path), New)
        return call.border.keywords if ready and call.border is not None else ()

    def author_function(self, made: ast.ClassDef) -> str:
        """The name of an author's function with a backward of its own; two that do the same are one."""
        wanted = made.name
        for each in self.functions:
            made.name = each.name
            if ast.dump(each) == ast.dump(made):
                return each.name
        made.name = free_name(wanted, lambda name: any(each.name == name for each in self.functions))
        self.function_names.add(made.name)
        self.functions.append(made)
        return made.name

    def returned_name(self, call: Call) -> str:
        """What the method that a call runs calls its result."""
        return self.returned_names.get(id(call), "")

    def is_reserved(self, name: str) -> bool:
        taken = (RESERVED, self.operators.recorder.helpers, self.records, self.function_names)
        return any(name in names for names in taken)

    def producer(self, value: str) -> Node | None:
        return self.producers.get(value)

    def input_name(self, value: str) -> str:
        if (module := lent_path(value)) is not None:
            return next((part for part in reversed(module.split(".")) if part.isidentifier()), "module")
        return self.inputs_tree.values.get(value, "")

    def frames(self, call: Call) -> tuple[Frame, ...]:
        first = next(call.nodes(), None)
        return first.frames if first is not None else ()

    def access(self, start: str, path: str) -> ast.expr:
        """`self.layers[0].weight`, seen from the module at `start`."""
        return access(self.modules[start], path, self.constructs)


def _facts(module: Module | None, held: dict[str, Any]) -> dict[str, Any]:
    """The plain values that the original module held, as far as a module of OneFlow's can hold them too."""
    others = {*module.children, *module.states} if module else ()
    return {name: value for name, value in held.items() if is_attribute(name) and name not in others}


def _kept(name: str, value: Any) -> Own:
    """`self.num_heads = 4`: what the original module held, and a method reads."""
    target = ast.Attribute(ast.Name("self", ast.Load()), name, ast.Store())
    return Own(name, ast.Assign([target], literal(value, name)), is_fact=True)


def _method_name(number: int) -> str:
    return "forward" if number == 1 else f"forward_{number}"


def _in_place(graph: Graph) -> set[int]:
    """The calls that may work in place: the original did, and nothing else reads what goes in.

    What a decision or a loop gives may be what it was given; and a loop reads what lies outside of it in each round.
    """
    uses = graph.uses()
    made = {name: node for node in graph.nodes for name in node.outputs}

    def is_alone(node: Node) -> bool:
        maker = made.get(node.refs()[0])
        if uses.get(node.refs()[0], 0) != 1 or (maker is not None and maker.operator in CONTROLS):
            return False
        return node.blocks == (maker.blocks if maker is not None else ())

    return {id(node) for node in graph.nodes if node.in_place and is_alone(node)}
