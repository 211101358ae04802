"""A name is what Python makes of it: by import, by scope, and across the files of a tree."""

from __future__ import annotations

import pytest

CASES = {
    "a module under another name": (
        "import torch as th\ny = th.is_tensor(x)\n",
        "import oneflow as th\ny = th.is_tensor(x)\n",
    ),
    "a module": ("import torch\ny = torch.is_tensor(x)\n", "import oneflow as flow\ny = flow.is_tensor(x)\n"),
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
        "import torch\ndef f(torch):\n    return torch.is_tensor\n",
        "import oneflow as flow\ndef f(torch):\n    return torch.is_tensor\n",
    ),
    "a local name that shadows in a comprehension": (
        "import torch\ny = [torch.is_tensor for torch in x]\nz = torch.is_tensor\n",
        "import oneflow as flow\ny = [torch.is_tensor for torch in x]\nz = flow.is_tensor\n",
    ),
    "a class does not shadow in its methods": (
        "import torch\nclass A:\n    torch = 1\n    def f(self):\n        return torch.is_tensor\n",
        "import oneflow as flow\nclass A:\n    torch = 1\n    def f(self):\n        return flow.is_tensor\n",
    ),
    "text and comments": (
        'import torch\nx = "torch.is_tensor"  # torch.is_tensor\ndef f():\n    """import torch"""\n',
        'import oneflow as flow\nx = "torch.is_tensor"  # torch.is_tensor\ndef f():\n    """import torch"""\n',
    ),
    "an f-string": (
        "import torch\nprint(f'{torch.is_tensor(x)!r:>{width}} {{torch}}' f\"{torch.float32=}\")\n",
        "import oneflow as flow\nprint(f'{flow.is_tensor(x)!r:>{width}} {{torch}}' f\"{flow.float32=}\")\n",
    ),
    "a name that the author uses for something else": (
        "import torch\ndef warp(flow):\n    return torch.is_tensor(flow)\n",
        "import oneflow\ndef warp(flow):\n    return oneflow.is_tensor(flow)\n",
    ),
    "an import that may fail": (
        "try:\n    import torch\nexcept ImportError:\n    torch = None\nif torch:\n    y = torch.is_tensor(x)\n",
        "try:\n    import oneflow as flow\nexcept ImportError:\n    flow = None\nif flow:\n    y = flow.is_tensor(x)\n",
    ),
    "an imported name that the author gives to an object of it": (
        "import torch.nn as q\nm = q.ReLU(p)\nq = q.ReLU(p)\nq.step()\ndef f():\n    q.step()\n",
        "import oneflow.nn as q\nm = q.ReLU(p)\nq = q.ReLU(p)\nq.step()\ndef f():\n    q.step()\n",
    ),
    "an imported class that the author's own takes the name of": (
        "from torch.nn import ReLU6\nclass ReLU6(ReLU6):\n    pass\ny = ReLU6().own(2)\n",
        "from oneflow.nn import ReLU6\nclass ReLU6(ReLU6):\n    pass\ny = ReLU6().own(2)\n",
    ),
    "an import again after that": (
        "from torch import nn\nif x:\n    nn = 1\n    nn.y\nfrom torch import nn\nnn.Y(nn.is_there)\nnn.ReLU()\n",
        "import flow_compat\nfrom oneflow import nn\nif x:\n    nn = 1\n    nn.y\nfrom oneflow import nn\n"
        "# torch2flow: OneFlow 0.9.0 can't: torch.nn.Y\n# torch2flow: OneFlow 0.9.0 can't: torch.nn.is_there\n"
        'flow_compat.missing("torch.nn.Y")(flow_compat.missing("torch.nn.is_there"))\nnn.ReLU()\n',
    ),
    "an old name of what both have": (
        "from torch.nn import init\nfrom torch.nn.init import eye\ninit.constant(w, 1)\neye(w)\n",
        "from oneflow.nn import init\nfrom oneflow.nn.init import eye_ as eye\ninit.constant_(w, 1)\neye(w)\n",
    ),
    "modules of torchvision inside modules": (
        "from torchvision.transforms import transforms\nfrom torchvision.datasets.folder import default_loader\n"
        "t = transforms.Compose([transforms.ToTensor()])\n",
        "from flowvision.transforms import transforms\n"
        "from flowvision.datasets.folder import default_loader\nt = transforms.Compose([transforms.ToTensor()])\n",
    ),
    "whether a name is there that has a substitute": (
        "from torch.nn import functional as F\nx = hasattr(F, 'scaled_dot_product_attention')\n"
        "y = hasattr(F, 'never')\n",
        "from oneflow.nn import functional as F\nx = True\ny = hasattr(F, 'never')\n",
    ),
    "an import in a function": (
        "def f(x):\n    import torch.nn as F\n    return F.Module(x)\n",
        "def f(x):\n    import oneflow.nn as F\n    return F.Module(x)\n",
    ),
    "two statements in a line": (
        "import torch; from torch import nn\nif 1: import torch.nn as F\n",
        "import oneflow as flow; from oneflow import nn\nif 1: import oneflow.nn as F\n",
    ),
    "formatting": (
        "import torch\nx = torch . is_tensor(  # why\n    torch.device( y ) ,\n)   \n",
        "import oneflow as flow\nx = flow . is_tensor(  # why\n    flow.device( y ) ,\n)   \n",
    ),
    "a function with the name of the module that it is in": (
        "from torch.nn.utils import weight_norm\nx = weight_norm(m)\n",
        "from oneflow.nn.utils import weight_norm\nx = weight_norm(m)\n",
    ),
    "a module that is handed on, and that OneFlow lacks": (
        "from torch.utils import benchmark\nx = f(benchmark)\n",
        "import flow_compat\n# torch2flow: OneFlow 0.9.0 can't: torch.utils.benchmark\n"
        'x = f(flow_compat.missing("torch.utils.benchmark"))\n',
    ),
    "a star": (
        "from torch.nn import *\nm = Sequential(Linear(1, 2))\n",
        "from oneflow.nn import *\nm = Sequential(Linear(1, 2))\n",
    ),
    "letters of more than one byte": (
        "import torch\nx = 'äöü—', torch.is_tensor(y), '漢', torch.device(z)\n",
        "import oneflow as flow\nx = 'äöü—', flow.is_tensor(y), '漢', flow.device(z)\n",
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
        {"__init__.py": "", "common.py": "import torch\n", "a.py": "from .common import torch\nm = torch.is_tensor\n"},
        {"common.py": "import oneflow as flow\n", "a.py": "from .common import flow\nm = flow.is_tensor\n"},
    ),
    "everything that another file has": (
        {"__init__.py": "", "common.py": "import torch\n", "a.py": "from .common import *\nm = torch.is_tensor\n"},
        {"a.py": "from .common import *\nm = flow.is_tensor\n"},
    ),
    "a module of the package": (
        {"__init__.py": "", "b.py": "import torch\n", "a.py": "from . import b\nm = b.torch.is_tensor(x)\n"},
        {"a.py": "from . import b\nm = b.flow.is_tensor(x)\n"},
    ),
    "a script beside another": (
        {"common.py": "from torch import nn\n", "train.py": "from common import nn\nm = nn.ReLU\n"},
        {"common.py": "from oneflow import nn\n", "train.py": "from common import nn\nm = nn.ReLU\n"},
    ),
    "files that import each other": (
        {
            "__init__.py": "",
            "a.py": "from .b import *\nx = torch.is_tensor\n",
            "b.py": "from .a import *\nimport torch\n",
        },
        {"a.py": "from .b import *\nx = flow.is_tensor\n"},
    ),
}


@pytest.mark.parametrize("case", TREES)
def test_a_name_means_the_same_in_another_file_of_the_tree(case: str, write_tree, port) -> None:
    files, expected = TREES[case]
    out, _ = port(write_tree(files))
    assert {path: (out / path).read_text("utf-8") for path in expected} == expected
