"""GoogLeNet and Inception v3. The names are equal; flowvision takes other arguments and returns another output."""

from dataclasses import replace

from torch2flow.zoo.twins import Tensors, Twin

FORWARD = '''class Model({twin}):
    """flowvision's, with torchvision's output: one tensor in eval mode."""

    def forward(self, x):
        outputs = super().forward({x})
        return {outputs} if self.training and self.aux_logits else outputs[0]
'''

GOOGLENET = FORWARD.replace("{x}", "x").replace("{outputs}", "(outputs[0], outputs[2], outputs[1])")
"""torchvision 0.14.1 and 0.27 hand `_forward`'s (x, aux2, aux1) on as (x, aux1, aux2)."""

INCEPTION = FORWARD.replace("{x}", "self._transform_input(x)").replace("{outputs}", "outputs")
"""flowvision 0.2.1 has `_transform_input` and never calls it."""


def fitted(twin: Twin, tensors: Tensors, weights: str) -> Twin:
    """The twin with auxiliary heads if the checkpoint has them, as all files of torchvision do.

    torchvision sets `transform_input` for its own weights, and for nothing else.
    """
    auxiliary = any(name.startswith(("aux1.", "AuxLogits.")) for name in tensors)
    arguments = (f"aux_logits={auxiliary}", f"transform_input={bool(weights)}", "init_weights=False")
    return replace(twin, arguments=arguments)


TWINS = (
    Twin(
        "googlenet",
        "GoogLeNet",
        module="flowvision.models.googlenet",
        subclass=GOOGLENET,
        settle=fitted,
        head="fc.weight",
    ),
    Twin(
        "inception_v3",
        "Inception3",
        module="flowvision.models.inception_v3",
        subclass=INCEPTION,
        settle=fitted,
        head="fc.weight",
    ),
)
