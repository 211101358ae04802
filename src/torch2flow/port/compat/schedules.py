"""Schedules of the learning rate."""

import math

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.registry import stands_for


@stands_for(
    "torch.optim.lr_scheduler._LRScheduler",
    "torch.optim.lr_scheduler.LRScheduler",
    because="OneFlow's asks `get_lr` for the rate of each group at each step.",
)
class ScheduleOfOnesOwn(flow.optim.lr_scheduler._LRScheduler):
    """PyTorch's base of schedules, whose `get_lr` gives the rates of all groups from `self.last_epoch`."""

    def __init__(self, optimizer, last_epoch=-1, verbose=False):
        self.last_epoch = last_epoch
        super().__init__(optimizer, last_epoch, bool(verbose))

    def step(self, epoch=None):
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self.last_step = self.last_epoch
        alone = epoch is not None and hasattr(self, "_get_closed_form_lr")
        self.update_lrs(self._get_closed_form_lr() if alone else self.get_lr())


class ScheduleByFactor(ScheduleOfOnesOwn):
    """A schedule that changes each group's rate by a factor, whatever else has changed that rate meanwhile."""

    def get_lr(self):
        now, before = (self.factor_at(max(epoch, 0)) for epoch in (self.last_epoch, self.last_epoch - 1))
        change = now if self.last_epoch == 0 else 1.0 if now == before else now / before
        return [group["lr"] * change for group in self.optimizer.param_groups]

    def _get_closed_form_lr(self):
        return [rate * self.factor_at(self.last_epoch) for rate in self.base_lrs]


@stands_for("torch.optim.lr_scheduler.StepLR", because="OneFlow's has no `last_epoch` and no step to an epoch.")
class StepLR(ScheduleByFactor):
    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1, verbose=False):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch, verbose)

    def factor_at(self, epoch):
        return self.gamma ** (epoch // self.step_size)


@stands_for("torch.optim.lr_scheduler.MultiStepLR", because="OneFlow's has no `last_epoch` and no step to an epoch.")
class MultiStepLR(ScheduleByFactor):
    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1, verbose=False):
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch, verbose)

    def factor_at(self, epoch):
        return self.gamma ** sum(milestone <= epoch for milestone in self.milestones)


@stands_for("torch.optim.lr_scheduler.ExponentialLR", because="OneFlow's has no `last_epoch` and no step to an epoch.")
class ExponentialLR(ScheduleByFactor):
    def __init__(self, optimizer, gamma, last_epoch=-1, verbose=False):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch, verbose)

    def factor_at(self, epoch):
        return self.gamma**epoch


@stands_for("torch.optim.lr_scheduler.LinearLR", because="OneFlow's has no `last_epoch`.")
class LinearLR(ScheduleByFactor):
    def __init__(self, optimizer, start_factor=1.0 / 3, end_factor=1.0, total_iters=5, last_epoch=-1, verbose=False):
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch, verbose)

    def factor_at(self, epoch):
        share = min(epoch, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * share


@stands_for("torch.optim.lr_scheduler.ConstantLR", because="OneFlow's has no `last_epoch`.")
class ConstantLR(ScheduleByFactor):
    def __init__(self, optimizer, factor=1.0 / 3, total_iters=5, last_epoch=-1, verbose=False):
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch, verbose)

    def factor_at(self, epoch):
        return self.factor if epoch < self.total_iters else 1.0


@stands_for("torch.optim.lr_scheduler.PolynomialLR", because="OneFlow's ends at another rate, and has other names.")
class PolynomialLR(ScheduleByFactor):
    def __init__(self, optimizer, total_iters=5, power=1.0, last_epoch=-1, verbose=False):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch, verbose)

    def factor_at(self, epoch):
        return (1 - min(epoch, self.total_iters) / self.total_iters) ** self.power


@stands_for("torch.optim.lr_scheduler.LambdaLR", because="OneFlow's has no `last_epoch` and no step to an epoch.")
class LambdaLR(ScheduleOfOnesOwn):
    def __init__(self, optimizer, lr_lambda, last_epoch=-1, verbose=False):
        several = isinstance(lr_lambda, list | tuple)
        self.lr_lambdas = list(lr_lambda) if several else [lr_lambda] * len(optimizer.param_groups)
        super().__init__(optimizer, last_epoch, verbose)

    def get_lr(self):
        return [rate * factor(self.last_epoch) for factor, rate in zip(self.lr_lambdas, self.base_lrs, strict=True)]

    def state_dict(self):
        return {
            key: value for key, value in self.__dict__.items() if key not in ("optimizer", "lr_lambdas", "scale_fn")
        }


@stands_for("torch.optim.lr_scheduler.MultiplicativeLR", because="OneFlow has no `MultiplicativeLR`.")
class MultiplicativeLR(LambdaLR):
    def get_lr(self):
        groups = self.optimizer.param_groups
        if self.last_epoch == 0:
            return [group["lr"] for group in groups]
        return [group["lr"] * factor(self.last_epoch) for factor, group in zip(self.lr_lambdas, groups, strict=True)]


@stands_for("torch.optim.lr_scheduler.CosineAnnealingLR", because="OneFlow's has no `last_epoch`.")
class CosineAnnealingLR(ScheduleOfOnesOwn):
    def __init__(self, optimizer, T_max, eta_min=0, last_epoch=-1, verbose=False):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch, verbose)

    def share_at(self, epoch):
        return (1 + math.cos(math.pi * epoch / self.T_max)) / 2

    def get_lr(self):
        rates = [group["lr"] for group in self.optimizer.param_groups]
        if self.last_epoch == 0:
            return rates
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # the rate before is the smallest
            risen = self.share_at(self.T_max - 1)
            return [rate + (base - self.eta_min) * risen for rate, base in zip(rates, self.base_lrs, strict=True)]
        change = self.share_at(self.last_epoch) / self.share_at(self.last_epoch - 1)
        return [self.eta_min + (rate - self.eta_min) * change for rate in rates]

    def _get_closed_form_lr(self):
        return [self.eta_min + (rate - self.eta_min) * self.share_at(self.last_epoch) for rate in self.base_lrs]


@stands_for("torch.optim.lr_scheduler.SequentialLR", because="OneFlow's starts the later ones at another step.")
class SequentialLR:
    def __init__(self, optimizer, schedulers, milestones, last_epoch=-1, verbose=False):
        self.optimizer, self._schedulers, self._milestones = optimizer, list(schedulers), list(milestones)
        self.last_epoch = last_epoch + 1
        self._schedulers[0].step(0)

    def step(self):
        self.last_epoch += 1
        place = sum(milestone <= self.last_epoch for milestone in self._milestones)
        if place and self._milestones[place - 1] == self.last_epoch:
            self._schedulers[place].step(0)
        else:
            self._schedulers[place].step()

    def get_last_lr(self):
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self):
        return {"last_epoch": self.last_epoch, "_schedulers": [each.state_dict() for each in self._schedulers]}

    def load_state_dict(self, state_dict):
        self.last_epoch = state_dict["last_epoch"]
        for each, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            each.load_state_dict(state)


@stands_for("torch.optim.lr_scheduler.ChainedScheduler", because="OneFlow's asks for the rate of one group at a time.")
class ChainedScheduler(SequentialLR):
    def __init__(self, schedulers, optimizer=None):
        self.optimizer, self._schedulers = schedulers[0].optimizer, list(schedulers)
        self.last_epoch = 0

    def step(self):
        self.last_epoch += 1
        for each in self._schedulers:
            each.step()


@stands_for("torch.optim.lr_scheduler.CosineAnnealingWarmRestarts", because="OneFlow's orders arguments otherwise.")
class CosineAnnealingWarmRestarts(ScheduleOfOnesOwn):
    def __init__(self, optimizer, T_0, T_mult=1, eta_min=0, last_epoch=-1, verbose=False):
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch, verbose)

    def get_lr(self):
        start, length = 0, self.T_0
        while self.last_epoch >= start + length:
            start, length = start + length, length * self.T_mult
        share = (1 + math.cos(math.pi * (self.last_epoch - start) / length)) / 2
        return [self.eta_min + (rate - self.eta_min) * share for rate in self.base_lrs]


@stands_for("torch.optim.lr_scheduler.OneCycleLR", because="OneFlow has no `OneCycleLR`.")
class OneCycleLR(ScheduleOfOnesOwn):
    def __init__(
        self, optimizer, max_lr, total_steps=None, epochs=None, steps_per_epoch=None, pct_start=0.3,
        anneal_strategy="cos", cycle_momentum=True, base_momentum=0.85, max_momentum=0.95, div_factor=25.0,
        final_div_factor=1e4, three_phase=False, last_epoch=-1, verbose=False,
    ):  # fmt: skip
        self.total_steps = total_steps or epochs * steps_per_epoch
        highest = list(max_lr) if isinstance(max_lr, list | tuple) else [max_lr] * len(optimizer.param_groups)
        self.rates = [(high / div_factor, high, high / div_factor / final_div_factor) for high in highest]
        self.momenta = (max_momentum, base_momentum, max_momentum)
        self.cycles_momentum, self.anneal_strategy = cycle_momentum, anneal_strategy
        rise = float(pct_start * self.total_steps) - 1
        if three_phase:
            self.phases = [(rise, 0, 1), (2 * rise, 1, 0), (self.total_steps - 1, 0, 2)]
        else:
            self.phases = [(rise, 0, 1), (self.total_steps - 1, 1, 2)]
        for group, (initial, _, _) in zip(optimizer.param_groups, self.rates, strict=True):
            if last_epoch == -1:
                group["initial_lr"] = initial
        super().__init__(optimizer, last_epoch, verbose)

    def get_lr(self):
        starts = [0.0, *[end for end, _, _ in self.phases]]
        phase = next((n for n, (end, _, _) in enumerate(self.phases) if self.last_epoch <= end), len(self.phases) - 1)
        end, before, after = self.phases[phase]
        share = (self.last_epoch - starts[phase]) / (end - starts[phase])
        if self.anneal_strategy == "cos":
            share = (1 - math.cos(math.pi * share)) / 2
        if self.cycles_momentum:
            value = self.momenta[before] + (self.momenta[after] - self.momenta[before]) * share
            for group in self.optimizer.param_groups:
                if "betas" in group:
                    group["betas"] = (value, *group["betas"][1:])
                else:
                    group["momentum"] = value
        return [rates[before] + (rates[after] - rates[before]) * share for rates in self.rates]


@stands_for("torch.optim.lr_scheduler.CyclicLR", because="OneFlow has no `CyclicLR`.")
class CyclicLR(ScheduleOfOnesOwn):
    def __init__(
        self, optimizer, base_lr, max_lr, step_size_up=2000, step_size_down=None, mode="triangular", gamma=1.0,
        scale_fn=None, scale_mode="cycle", cycle_momentum=True, base_momentum=0.8, max_momentum=0.9, last_epoch=-1,
        verbose=False,
    ):  # fmt: skip
        count = len(optimizer.param_groups)
        low, self.max_lrs = (
            list(each) if isinstance(each, list | tuple) else [each] * count for each in (base_lr, max_lr)
        )
        self.up = float(step_size_up)
        self.length = self.up + float(step_size_up if step_size_down is None else step_size_down)
        self.mode, self.gamma, self.scale_fn, self.scale_mode = mode, gamma, scale_fn, scale_mode
        self.momenta = (base_momentum, max_momentum) if cycle_momentum else None
        for group, rate in zip(optimizer.param_groups, low, strict=True):
            group["initial_lr"] = rate
        super().__init__(optimizer, last_epoch, verbose)
        self.base_lrs = low

    def get_lr(self):
        cycle = math.floor(1 + self.last_epoch / self.length)
        x = 1 + self.last_epoch / self.length - cycle
        height = x * self.length / self.up if x <= self.up / self.length else (x - 1) / (self.up / self.length - 1)
        if self.scale_fn is not None:
            height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        elif self.mode == "triangular2":
            height /= 2.0 ** (cycle - 1)
        elif self.mode == "exp_range":
            height *= self.gamma**self.last_epoch
        if self.momenta is not None:
            low, high = self.momenta
            for group in self.optimizer.param_groups:
                group["momentum"] = high - (high - low) * height
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]
