"""What `make demo` shows: models, and the scripts that write and load them.

Every script is written into its folder of demo-out/, printed, and run from there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """One model on both sides: the scripts are shown, written to the folder, and run."""

    title: str
    folder: str
    sample: tuple[int, ...]
    save: str
    load: str
    direct: str


LINEAR = Example(
    "A linear layer and a softmax, saved as a whole module",
    "1-linear",
    (128,),
    save="""\
import torch
from torch import nn

model = nn.Sequential(nn.Linear(128, 2), nn.Softmax(dim=1))
torch.save(model, "model.pth")
""",
    load="""\
from torch2flow.runtime import import_oneflow

flow = import_oneflow()  # 'import oneflow as flow', without its two lines of noise
model = flow.nn.Sequential(flow.nn.Linear(128, 2), flow.nn.Softmax(dim=1))
print(model.load_state_dict(flow.load("out"), strict=True))
""",
    direct="""\
import torch2flow
from torch2flow.runtime import import_oneflow

flow = import_oneflow()
model = flow.nn.Sequential(flow.nn.Linear(128, 2), flow.nn.Softmax(dim=1))
print(torch2flow.load_state_dict(model, "model.pth"))
""",
)

ALEXNET = Example(
    "torchvision's AlexNet, saved as a state dict, into flowvision's AlexNet",
    "2-alexnet",
    (3, 224, 224),
    save="""\
import torch
import torchvision

model = torchvision.models.alexnet()
torch.save(model.state_dict(), "model.pth")
""",
    load="""\
from torch2flow.runtime import import_flowvision, import_oneflow

flow, flowvision = import_oneflow(), import_flowvision()
model = flowvision.models.alexnet()
print(model.load_state_dict(flow.load("out"), strict=True))
""",
    direct="""\
import torch2flow
from torch2flow.runtime import import_flowvision

model = import_flowvision().models.alexnet()
print(torch2flow.load_state_dict(model, "model.pth"))
""",
)


@dataclass(frozen=True, slots=True)
class CapturedExample:
    """A model whose source is converted too: what PyTorch captures, and the scripts that OneFlow runs.

    Attributes:
        name: of the factory in `net`, of the `.pt2` and of the package made of it.
        inputs: what `torch2flow capture --input` takes.
        shown: the class of the generated source that is worth a look.
    """

    title: str
    folder: str
    name: str
    inputs: tuple[str, ...]
    shown: str
    net: str
    load: str


RESNET18 = CapturedExample(
    "torchvision's ResNet-18, captured by today's PyTorch: its source and its weights",
    "3-resnet18",
    "resnet18",
    # Small images: in large ones some activation is always so near zero that rounding decides its ReLU, so the
    # gradients of PyTorch's own float32 are 1% off. Here that happens to OneFlow's alone, and float64 decides.
    ("float32[batch,3,64,64]",),
    "BasicBlock",
    net="""\
from torch import library

# Only where torchvision comes without its C++ part, as it does here: it wants this operator declared.
nms = library.Library("torchvision", "DEF")
nms.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from torchvision.models import resnet18
""",
    load="""\
from torch2flow.runtime import import_oneflow

flow = import_oneflow()
from resnet18 import load_model

model = load_model().train()
optimizer = flow.optim.SGD(model.parameters(), lr=0.01)
flow.manual_seed(0)
images, labels = flow.randn(4, 3, 64, 64), flow.tensor([1, 2, 3, 4])
for step in range(5):
    loss = flow.nn.functional.cross_entropy(model(images), labels)
    print(f"step {step}: loss {loss.item():.1f}")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
)

GPT2 = CapturedExample(
    "Hugging Face's GPT-2, a small one: tokens in, a loss that falls",
    "4-gpt2",
    "gpt2",
    ("input_ids=int64[batch,seq]:0..1000", "attention_mask=int64[batch,seq]:1"),
    "GPT2Attention",
    net="""\
from torch import library

# Only where torchvision comes without its C++ part, as it does here: it wants this operator declared.
nms = library.Library("torchvision", "DEF")
nms.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from transformers import GPT2Config, GPT2LMHeadModel

config = GPT2Config(vocab_size=1000, n_positions=64, n_embd=64, n_layer=2, n_head=4, use_cache=False)


def gpt2():
    return GPT2LMHeadModel(config)
""",
    load="""\
from torch2flow.runtime import import_oneflow

flow = import_oneflow()
from gpt2 import load_model

model = load_model().train()
optimizer = flow.optim.AdamW(model.parameters(), lr=0.01)
flow.manual_seed(0)
tokens = flow.randint(0, 1000, (4, 20))
for step in range(5):
    logits = model(tokens[:, :-1], flow.ones(4, 19, dtype=flow.int64)).logits
    loss = flow.nn.functional.cross_entropy(logits.reshape(-1, 1000), tokens[:, 1:].reshape(-1))
    print(f"step {step}: loss {loss.item():.1f}")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
)
