"""What differs between the two is written otherwise, and nothing else is touched."""

from __future__ import annotations

from typing import Any

import pytest

CASES = {
    "a module that is bound to another name": (
        """
        import torch
        from torch import nn
        F = nn.functional

        def f(x, L=None):
            t, G = torch, F
            L = torch.linalg
            L = x
            act = torch.nn.functional
            return F.normalize(x), L.norm(x), act.gelu(x), act.conv2d(x, w, padding="same")
        """,
        """
        import flow_compat
        import oneflow as flow
        from oneflow import nn
        F = nn.functional

        def f(x, L=None):
            t, G = flow, F
            L = flow.linalg
            L = x
            act = flow.nn.functional
            return F.normalize(x), L.norm(x), act.gelu(x), flow_compat.conv2d(x, w, padding="same")
        """,
    ),
    "a function that OneFlow has otherwise": (
        "import torch\ny = torch.matmul(x, x)\n",
        "import flow_compat\nimport oneflow as flow\ny = flow_compat.matmul(x, x)\n",
    ),
    "such a function by itself": (
        "from torch import matmul, is_tensor, dot as st\ny = is_tensor(matmul(x)), st(x)\n",
        "from flow_compat import matmul, dot as st\nfrom oneflow import is_tensor\ny = is_tensor(matmul(x)), st(x)\n",
    ),
    "marks for the compiler": (
        """
        import torch
        from torch import nn

        @torch.jit.script
        def f(x):
            return x

        class A(nn.Module):
            n: torch.jit.Final[int]

            @torch.jit.ignore  # why
            @property
            def g(self):
                if not torch.jit.is_scripting():
                    return torch.compile(self, mode="max-autotune")

        model = torch.compile(A() if x else B())
        """,
        """
        import oneflow as flow
        from oneflow import nn

        def f(x):
            return x

        class A(nn.Module):
            n: int

            @property
            def g(self):
                if not False:
                    return self

        model = (A() if x else B())
        """,
    ),
    "arguments that change nothing": (
        "import torch\nx = x.to(d, non_blocking=True).contiguous(memory_format=torch.channels_last)\n",
        "import oneflow as flow\nx = x.to(d).contiguous()\n",
    ),
    "the version": (
        "import torch\nnew = torch.__version__ >= '1.8'\n",
        "import oneflow as flow\nnew = \"2.0.1\" >= '1.8'\n",
    ),
    "einops": (
        "from einops.layers.torch import Rearrange\nfrom einops import rearrange\n",
        "from einops.layers.oneflow import Rearrange\nfrom einops import rearrange\n",
    ),
    "a value inside an f-string": (
        "import torch\nx = f\"{torch.__version__}\", f'{torch.__version__}'\n",
        "import oneflow as flow\nx = f\"{'2.0.1'}\", f'{\"2.0.1\"}'\n",
    ),
    "settings of kernels": (
        """
        import torch
        if 1:
            torch._dynamo.config.suppress_errors = True
        """,
        """
        import oneflow as flow
        if 1:
            # torch2flow: left out, since OneFlow has no such setting: torch._dynamo.config.suppress_errors = True
            pass
        """,
    ),
    "what the author can do without": (
        "try:\n    from torch.export import Dim\nexcept ImportError:\n    Dim = None\n",
        "try:\n    from oneflow.export import Dim\nexcept ImportError:\n    Dim = None\n",
    ),
    "what OneFlow can't": (
        "import torch\ndef f(x):\n    return torch.linalg.eig(x)\n",
        "import flow_compat\nimport oneflow as flow\ndef f(x):\n"
        "    # torch2flow: OneFlow 0.9.0 can't: torch.linalg.eig\n"
        '    return flow_compat.missing("torch.linalg.eig")(x)\n',
    ),
    "what OneFlow can't, by itself": (
        "from torch.fx import Tracer\n\nclass A(Tracer):\n    pass\n",
        "import flow_compat\n# torch2flow: OneFlow 0.9.0 can't: torch.fx.Tracer\n"
        'Tracer = flow_compat.missing("torch.fx.Tracer")\n\nclass A(Tracer):\n    pass\n',
    ),
    "torchvision": (
        "import torchvision\nfrom torchvision import transforms as T\nx = T.Pad(1), torchvision.utils.make_grid(y)\n",
        "import flowvision\nfrom flowvision import transforms as T\nx = T.Pad(1), flowvision.utils.make_grid(y)\n",
    ),
    "dictionaries and loggers": (
        "import torch\nfor v in d.values():\n    log.log(v)\n    names.index(v)\n",
        "import oneflow as flow\nfor v in d.values():\n    log.log(v)\n    names.index(v)\n",
    ),
    "a list in place of many": (
        "import torch\ny = torch.einsum('i,j', a, b), torch.einsum('i,j', (a, b))\n",
        "import flow_compat\nimport oneflow as flow\n"
        "y = flow.einsum('i,j', a, b), flow_compat.einsum('i,j', (a, b))\n",
    ),
    "whether PyTorch is there": (
        "import importlib.util\nfrom importlib import metadata\n"
        "a = importlib.util.find_spec(name), metadata.version('torch'), metadata.version('json')\n",
        "import flow_compat\nimport importlib.util\nfrom importlib import metadata\n"
        "a = flow_compat.find_spec(name), flow_compat.version('torch'), metadata.version('json')\n",
    ),
    "a package that imports PyTorch": (
        "from safetensors import safe_open\nfrom safetensors.torch import load_file\n",
        "from safetensors import safe_open\nfrom flow_compat import load_file\n",
    ),
    "the head of a file": (
        '#!/usr/bin/env python3\n"""Text."""\nfrom __future__ import annotations\n\nimport os\n'
        "import torch\nx = torch.dot\n",
        '#!/usr/bin/env python3\n"""Text."""\nfrom __future__ import annotations\n\nimport os\n'
        "import flow_compat\nimport oneflow as flow\nx = flow_compat.dot\n",
    ),
    "an import in a function that needs the module": (
        "import os\n\ndef f(x):\n    import torch\n    return torch.dot(x)\n",
        "import flow_compat\nimport os\n\ndef f(x):\n    import oneflow as flow\n    return flow_compat.dot(x)\n",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_differs_is_written_otherwise(case: str, ported) -> None:
    source, expected = CASES[case]
    assert ported(source) == _plain(expected)


def _plain(text: str) -> str:
    import textwrap

    return textwrap.dedent(text).lstrip("\n")


def test_windows_line_ends_and_other_encodings_are_kept(tmp_path, port) -> None:
    source = tmp_path / "nets.py"
    source.write_bytes("# -*- coding: latin-1 -*-\r\nimport torch\r\nx = 'ä', torch.linalg.eig\r\n".encode("latin-1"))
    out, _ = port(source, "flow_nets.py")
    assert out.read_bytes() == (
        "# -*- coding: latin-1 -*-\r\nimport flow_compat\r\nimport oneflow as flow\r\n"
        "# torch2flow: OneFlow 0.9.0 can't: torch.linalg.eig\r\n"
        "x = 'ä', flow_compat.missing(\"torch.linalg.eig\")\r\n"
    ).encode("latin-1")


def test_a_line_that_is_the_same_in_both_is_not_touched(ported) -> None:
    source = "import torch.nn as nn\n\nclass A( nn.Module ):\n\tdef __init__(self) :\n\t\tself.a=nn.Linear(1,2)   # a\n"
    assert ported(source) == source.replace("import torch.nn", "import oneflow.nn")


def test_operators_on_what_may_be_tensors_are_pytorchs(tmp_path, write_tree, port) -> None:
    numbers = (
        "import torch\nimport math\n\ndef f(x, n):\n    b, h = x.shape\n    k = h // 2 + len(x) % 3 + b\n"
        "    for i in range(3):\n        k += i ** 2\n    return x[-1, : int(n) // 2], '%s' % x, -math.pi, k // 2\n"
        "def g(x: int | None = 3 // 2) -> list | None:\n    return -1\n"
    )
    _, found = port(write_tree({"nets.py": numbers}), "numbers")
    assert found.compat == {}
    for text, name in [("-x", "neg"), ("x // 2", "floordiv"), ("7 % x", "rmod"), ("x ** y", "pow"), ("x @ y", "matmul"),
                       ("~x", "invert"), ("x & y", "and")]:  # fmt: skip
        _, found = port(write_tree({"nets.py": f"import torch\ndef f(x, y):\n    return {text}\n"}), name)
        assert f"torch.Tensor.__{name}__" in found.compat["flow_compat.py"]
    _, found = port(write_tree({"nets.py": "import torch\ndef f(x):\n    x //= 2\n    return x\n"}), "in-place")
    assert "torch.Tensor.__ifloordiv__" in found.compat["flow_compat.py"]


def test_sums_of_integers_or_with_numpy_are_pytorchs_and_others_stay_oneflows(write_tree, port) -> None:
    uses = "def f(x, y):\n    if x.dim() > y:\n        x = x + 1\n    x *= y\n    return x * y\n"
    for head, methods in [
        ("import torch\nn = torch.arange(5.0)\nm = torch.zeros(3)\n", set()),
        ("import torch\nn = torch.arange(5)\n", {"__mul__", "__rmul__", "__gt__", "__lt__"}),
        ("import torch\nn = m.long()\n", {"__mul__", "__rmul__", "__gt__", "__lt__"}),
        ("import torch\nimport numpy as np\n", {"__mul__", "__rmul__", "__imul__", "__array_priority__", "__gt__",
                                                 "__lt__"}),
    ]:  # fmt: skip
        _, found = port(write_tree({"nets.py": head + uses}), str(len(head)))
        assert found.compat.get("flow_compat.py", set()) == {f"torch.Tensor.{each}" for each in methods}


def test_a_method_that_only_tensors_have_is_told_where_oneflow_has_none(write_tree: Any, port: Any) -> None:
    source = write_tree({"nets.py": "import torch\nx = torch.ones(3)\nx.igamma_(x)\nx.gt_(0)\n{}.values()\n"})
    _, found = port(source, "out")
    assert [each.api for each in found.tally.findings] == ["torch.Tensor.igamma_"]
