"""Starts a module of torch2flow in another interpreter, in which torch2flow is not installed. It is given as a file:

    python boot.py FOLDER-OF-TORCH2FLOW MODULE ARGUMENTS...

An interpreter that is started with a file searches that file's folder first, and never the current one.
"""

import sys

sys.path[:] = [entry for entry in sys.path if entry and entry != __file__.rpartition("/")[0]]

import importlib.util  # noqa: E402


def main() -> None:
    """Imports this very package, and nothing else of its environment, whose libraries are for another Python."""
    at, module = sys.argv[1:3]
    del sys.argv[1:3]
    spec = importlib.util.spec_from_file_location("torch2flow", f"{at}/__init__.py", submodule_search_locations=[at])
    assert spec is not None and spec.loader is not None
    package = sys.modules["torch2flow"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    importlib.import_module(module).main()


if __name__ == "__main__":
    main()
