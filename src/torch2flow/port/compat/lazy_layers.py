"""Layers that learn the size of their input from the first one, and are ordinary layers from then on."""

from torch2flow.models.lowering.lazy import flow, nn
from torch2flow.port.compat.registry import stands_for


class LayerOfAnySize(nn.Module):
    """A layer whose first input says how many channels it takes. Its parameters are empty until then."""

    channels_at = 1

    def __init__(self, *given, **named):
        super().__init__()
        self.given, self.named = given, named
        for name, value in self.made_for(named.get("groups", 1)).named_parameters():
            self.register_parameter(name, nn.Parameter(flow.empty(0, dtype=value.dtype, device=value.device)))

    def made_for(self, channels):
        return self.kind(channels, *self.given, **self.named)

    def forward(self, input):
        made = self.made_for(input.shape[self.channels_at]).to(input.device)
        for name, value in made.named_parameters():
            self._parameters[name].data = value.data
        own = self._parameters
        training = self.training
        self.__dict__.update(made.__dict__)
        self.__class__ = type(made)
        self._parameters = type(made._parameters)((name, own.get(name)) for name in made._parameters)
        self.train(training)
        return self(input)


@stands_for("torch.nn.LazyLinear", because="OneFlow has no lazy layers.")
class LazyLinear(LayerOfAnySize):
    kind, channels_at = nn.Linear, -1


@stands_for("torch.nn.LazyConv1d", because="OneFlow has no lazy layers.")
class LazyConv1d(LayerOfAnySize):
    kind = nn.Conv1d


@stands_for("torch.nn.LazyConv2d", because="OneFlow has no lazy layers.")
class LazyConv2d(LayerOfAnySize):
    kind = nn.Conv2d


@stands_for("torch.nn.LazyConv3d", because="OneFlow has no lazy layers.")
class LazyConv3d(LayerOfAnySize):
    kind = nn.Conv3d


@stands_for("torch.nn.LazyConvTranspose1d", because="OneFlow has no lazy layers.")
class LazyConvTranspose1d(LayerOfAnySize):
    kind = nn.ConvTranspose1d


@stands_for("torch.nn.LazyConvTranspose2d", because="OneFlow has no lazy layers.")
class LazyConvTranspose2d(LayerOfAnySize):
    kind = nn.ConvTranspose2d


@stands_for("torch.nn.LazyBatchNorm1d", because="OneFlow has no lazy layers.")
class LazyBatchNorm1d(LayerOfAnySize):
    kind = nn.BatchNorm1d


@stands_for("torch.nn.LazyBatchNorm2d", because="OneFlow has no lazy layers.")
class LazyBatchNorm2d(LayerOfAnySize):
    kind = nn.BatchNorm2d


@stands_for("torch.nn.LazyBatchNorm3d", because="OneFlow has no lazy layers.")
class LazyBatchNorm3d(LayerOfAnySize):
    kind = nn.BatchNorm3d
