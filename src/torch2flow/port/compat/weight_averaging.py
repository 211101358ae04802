"""Averages of a model's weights while it trains."""

import copy
import math

from torch2flow.models.lowering.lazy import flow, nn
from torch2flow.port.compat.registry import stands_for
from torch2flow.port.compat.schedules import ScheduleOfOnesOwn


@stands_for("torch.optim.swa_utils.get_ema_avg_fn", because="OneFlow has no `swa_utils`.")
def get_ema_avg_fn(decay=0.999):
    return lambda average, value, count: decay * average + (1 - decay) * value


@stands_for("torch.optim.swa_utils.get_swa_avg_fn", because="OneFlow has no `swa_utils`.")
def get_swa_avg_fn():
    return lambda average, value, count: average + (value - average) / (count + 1)


@stands_for("torch.optim.swa_utils.get_ema_multi_avg_fn", because="OneFlow has no `swa_utils`.")
def get_ema_multi_avg_fn(decay=0.999):
    return of_each(get_ema_avg_fn(decay))


@stands_for("torch.optim.swa_utils.get_swa_multi_avg_fn", because="OneFlow has no `swa_utils`.")
def get_swa_multi_avg_fn():
    return of_each(get_swa_avg_fn())


def of_each(average):
    """The function of lists of tensors that averages each of them, in place."""

    def averaged(averages, values, count):
        for mean, value in zip(averages, values, strict=True):
            mean[...] = average(mean, value, count)

    return averaged


@stands_for("torch.optim.swa_utils.AveragedModel", because="OneFlow has no `AveragedModel`.")
class AveragedModel(nn.Module):
    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", flow.tensor(0, dtype=flow.int64))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def update_parameters(self, model):
        """Takes the weights of a model into the average."""
        with flow.no_grad():
            own, given = (each.module.parameters() if each is self else each.parameters() for each in (self, model))
            pairs = [(mean, value.detach().to(mean.device)) for mean, value in zip(own, given, strict=True)]
            buffers = list(zip(self.module.buffers(), model.buffers(), strict=True))
            if self.use_buffers:
                pairs, buffers = [*pairs, *((mean, value) for mean, value in buffers)], []
            if int(self.n_averaged) == 0:
                for mean, value in pairs:
                    mean[...] = value
            elif self.avg_fn is None:
                averaged = self.multi_avg_fn or get_swa_multi_avg_fn()
                averaged(*[list(each) for each in zip(*pairs, strict=True)], self.n_averaged)
            else:
                for mean, value in pairs:
                    mean[...] = self.avg_fn(mean, value, self.n_averaged)
            for mean, value in buffers:
                mean[...] = value
            self.n_averaged += 1


@stands_for("torch.optim.swa_utils.update_bn", because="OneFlow has no `update_bn`.")
def update_bn(loader, model, device=None):
    norms = {each: each.momentum for each in model.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)}
    if not norms:
        return
    was_training, count = model.training, 0
    model.train()
    for norm in norms:
        norm.reset_running_stats()
    with flow.no_grad():
        for batch in loader:
            count += 1
            for norm in norms:
                norm.momentum = 1 / count
            given = batch[0] if isinstance(batch, list | tuple) else batch
            model(given if device is None else given.to(device))
    for norm, momentum in norms.items():
        norm.momentum = momentum
    model.train(was_training)


@stands_for("torch.optim.swa_utils.SWALR", because="OneFlow has no `SWALR`.")
class SWALR(ScheduleOfOnesOwn):
    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        groups = optimizer.param_groups
        rates = swa_lr if isinstance(swa_lr, list | tuple) else [swa_lr] * len(groups)
        self.swa_rates, self.anneal_epochs, self.strategy = list(rates), anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def share_at(self, epoch):
        """How far the way to the last rate is gone."""
        done = max(0.0, min(1.0, epoch / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * done)) / 2 if self.strategy == "cos" else done

    def get_lr(self):
        epoch = self.last_epoch if self.anneal_epochs else max(1, self.last_epoch)
        before, now = self.share_at(epoch - 1), self.share_at(epoch)
        rates = [group["lr"] for group in self.optimizer.param_groups]  # other schedules may have changed them
        return [
            end if before == 1 else end * now + (rate - before * end) / (1 - before) * (1 - now)
            for rate, end in zip(rates, self.swa_rates, strict=True)
        ]
