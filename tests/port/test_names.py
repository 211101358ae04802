"""A name is what Python makes of it: by import, by scope, and across the files of a tree."""

from __future__ import annotations

import pytest

CASES = {
    "a module under another name": ("import torch as th\ny = th.relu(x)\n", "import oneflow as th\ny = th.relu(x)\n"),
    "a module": ("import torch\ny = torch.relu(x)\n", "import oneflow as flow\ny = flow.relu(x)\n"),
    "a part of a module": (
        "from torch import nn\nfrom torch.nn import functional as F, Module\n",
        "from oneflow import nn\nfrom oneflow.nn import functional as F, Module\n",
    ),
    "parts of modules by their paths": (
        "import torch\nimport torch.nn\nimport torch.utils.data\nd = torch.utils.data.Dataset\n",
        "import oneflow as flow\nimport oneflow.nn\nimport oneflow.utils.data\nd = flow.utils.data.Dataset\n",
    ),
    "a part alone": ("import torch.nn\nm = torch.nn.ReLU()\n", "import oneflow as flow\nm = flow.nn.ReLU()\n"),
    "the home of a class": (
        "from torch.nn.modules.conv import Conv2d\n",
        "from oneflow.nn import Conv2d\n",
    ),
    "an argument that shadows": (
        "import torch\ndef f(torch):\n    return torch.relu\n",
        "import oneflow as flow\ndef f(torch):\n    return torch.relu\n",
    ),
    "a local name that shadows in a comprehension": (
        "import torch\ny = [torch.relu for torch in x]\nz = torch.relu\n",
        "import oneflow as flow\ny = [torch.relu for torch in x]\nz = flow.relu\n",
    ),
    "a class does not shadow in its methods": (
        "import torch\nclass A:\n    torch = 1\n    def f(self):\n        return torch.relu\n",
        "import oneflow as flow\nclass A:\n    torch = 1\n    def f(self):\n        return flow.relu\n",
    ),
    "text and comments": (
        'import torch\nx = "torch.relu"  # torch.relu\ndef f():\n    """import torch"""\n',
        'import oneflow as flow\nx = "torch.relu"  # torch.relu\ndef f():\n    """import torch"""\n',
    ),
    "an f-string": (
        "import torch\nprint(f'{torch.relu(x)!r:>{width}} {{torch}}' f\"{torch.float32=}\")\n",
        "import oneflow as flow\nprint(f'{flow.relu(x)!r:>{width}} {{torch}}' f\"{flow.float32=}\")\n",
    ),
    "a name that the author uses for something else": (
        "import torch\ndef warp(flow):\n    return torch.relu(flow)\n",
        "import oneflow\ndef warp(flow):\n    return oneflow.relu(flow)\n",
    ),
    "an import that may fail": (
        "try:\n    import torch\nexcept ImportError:\n    torch = None\nif torch:\n    y = torch.relu(x)\n",
        "try:\n    import oneflow as flow\nexcept ImportError:\n    flow = None\nif flow:\n    y = flow.relu(x)\n",
    ),
    "an import in a function": (
        "def f(x):\n    import torch.nn.functional as F\n    return F.relu(x)\n",
        "def f(x):\n    import oneflow.nn.functional as F\n    return F.relu(x)\n",
    ),
    "two statements in a line": (
        "import torch; from torch import nn\nif 1: import torch.nn.functional as F\n",
        "import oneflow as flow; from oneflow import nn\nif 1: import oneflow.nn.functional as F\n",
    ),
    "formatting": (
        "import torch\nx = torch . relu(  # why\n    torch.abs( y ) ,\n)   \n",
        "import oneflow as flow\nx = flow . relu(  # why\n    flow.abs( y ) ,\n)   \n",
    ),
    "a star": (
        "from torch.nn import *\nm = Sequential(Linear(1, 2))\n",
        "from oneflow.nn import *\nm = Sequential(Linear(1, 2))\n",
    ),
    "letters of more than one byte": (
        "import torch\nx = 'äöü—', torch.relu(y), '漢', torch.abs(z)\n",
        "import oneflow as flow\nx = 'äöü—', flow.relu(y), '漢', flow.abs(z)\n",
    ),
    "code without PyTorch": ("x = {}\nfor value in x.values():\n    print(value)\n",) * 2,
}


@pytest.mark.parametrize("case", CASES)
def test_a_name_is_what_its_import_and_scope_make_it(case: str, ported) -> None:
    source, expected = CASES[case]
    assert ported(source) == expected


TREES = {
    "a module that another file imports": (
        {"__init__.py": "", "common.py": "import torch.nn as nn\n", "a.py": "from .common import nn\nm = nn.ReLU\n"},
        {"a.py": "from .common import nn\nm = nn.ReLU\n"},
    ),
    "PyTorch that another file imports": (
        {"__init__.py": "", "common.py": "import torch\n", "a.py": "from .common import torch\nm = torch.relu\n"},
        {"common.py": "import oneflow as flow\n", "a.py": "from .common import flow\nm = flow.relu\n"},
    ),
    "everything that another file has": (
        {"__init__.py": "", "common.py": "import torch\n", "a.py": "from .common import *\nm = torch.relu\n"},
        {"a.py": "from .common import *\nm = flow.relu\n"},
    ),
    "a module of the package": (
        {"__init__.py": "", "b.py": "import torch\n", "a.py": "from . import b\nm = b.torch.relu(x)\n"},
        {"a.py": "from . import b\nm = b.flow.relu(x)\n"},
    ),
    "a script beside another": (
        {"common.py": "from torch import nn\n", "train.py": "from common import nn\nm = nn.ReLU\n"},
        {"common.py": "from oneflow import nn\n", "train.py": "from common import nn\nm = nn.ReLU\n"},
    ),
    "files that import each other": (
        {"__init__.py": "", "a.py": "from .b import *\nx = torch.relu\n", "b.py": "from .a import *\nimport torch\n"},
        {"a.py": "from .b import *\nx = flow.relu\n"},
    ),
}


@pytest.mark.parametrize("case", TREES)
def test_a_name_means_the_same_in_another_file_of_the_tree(case: str, write_tree, port) -> None:
    files, expected = TREES[case]
    out, _ = port(write_tree(files))
    assert {path: (out / path).read_text("utf-8") for path in expected} == expected
