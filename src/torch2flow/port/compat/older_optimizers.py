"""Optimizers that older code and physics take: averaged SGD, Rprop and L-BFGS with its line search."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.optimizers import Optimizer, kept
from torch2flow.port.compat.registry import stands_for


@stands_for("torch.optim.ASGD", because="OneFlow has no `ASGD`.")
class ASGD(Optimizer):
    def __init__(
        self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0, foreach=None, maximize=False,
        differentiable=False, capturable=False,
    ):  # fmt: skip
        options = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay}
        super().__init__(params, {**options, "maximize": maximize})

    def update(self, parameter, gradient, state, group):
        gradient = gradient + group["weight_decay"] * parameter if group["weight_decay"] else gradient
        rate, share, step = state.get("eta", group["lr"]), state.get("mu", 1.0), state["step"]
        parameter[...] = parameter * (1 - group["lambd"] * rate) - rate * gradient
        average = kept(state, "ax", parameter)
        state["ax"] = parameter.detach().clone() if share == 1 else average + (parameter - average) * share
        state["eta"] = group["lr"] / (1 + group["lambd"] * group["lr"] * step) ** group["alpha"]
        state["mu"] = 1 / max(1, step - group["t0"])


@stands_for("torch.optim.Rprop", because="OneFlow has no `Rprop`.")
class Rprop(Optimizer):
    def __init__(
        self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *, capturable=False, foreach=None,
        maximize=False, differentiable=False,
    ):  # fmt: skip
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize})

    def update(self, parameter, gradient, state, group):
        less, more = group["etas"]
        agrees = gradient * kept(state, "prev", parameter)
        before = state["step_size"] if "step_size" in state else flow.ones_like(parameter) * group["lr"]
        ups, downs = (agrees > 0).to(parameter.dtype), (agrees < 0).to(parameter.dtype)
        size = before * (ups * more + downs * less + (1 - ups - downs))
        size = state["step_size"] = flow.clamp(size, min=group["step_sizes"][0], max=group["step_sizes"][1])
        state["prev"] = gradient * (1 - downs)
        parameter[...] = parameter - flow.sign(state["prev"]) * size


@stands_for("torch.optim.LBFGS", because="OneFlow has no `LBFGS`.")
class LBFGS(Optimizer):
    """Steps along what the last gradients tell of the curvature, as PyTorch's does."""

    def __init__(
        self, params, lr=1, max_iter=20, max_eval=None, tolerance_grad=1e-7, tolerance_change=1e-9, history_size=100,
        line_search_fn=None,
    ):  # fmt: skip
        options = {"lr": lr, "max_iter": max_iter, "tolerance_grad": tolerance_grad, "history_size": history_size}
        options["max_eval"] = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, {**options, "tolerance_change": tolerance_change, "line_search_fn": line_search_fn})
        if line_search_fn not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self.memory = {"pairs": [], "scale": 1.0, "iterations": 0}

    def state_dict(self):
        return {**super().state_dict(), "state": {0: dict(self.memory)}}

    def load_state_dict(self, state_dict):
        super().load_state_dict({**state_dict, "state": {}})
        self.memory = dict(state_dict["state"][0])

    def gradient(self):
        """All gradients as one vector."""
        found = [flow.zeros_like(each) if each.grad is None else each.grad for each in self.all_parameters()]
        return flow.cat([each.reshape(-1) for each in found]).detach().clone()

    def move(self, direction, length):
        """Moves all parameters along a direction."""
        start = 0
        with flow.no_grad():
            for each in self.all_parameters():
                part = direction[start : start + each.numel()].reshape(*each.shape)
                each[...] = each + length * part
                start += each.numel()

    def measured(self, closure):
        """The loss where the parameters are now, and its gradient."""
        with flow.enable_grad():
            loss = closure()
        return float(loss), self.gradient()

    def measured_at(self, closure, start, direction, length):
        """The loss and the gradient at a distance from where a line begins; the parameters stay there."""
        self.move(direction, length)
        found = self.measured(closure)
        with flow.no_grad():
            for each, value in zip(self.all_parameters(), start, strict=True):
                each[...] = value
        return found

    def direction_of(self, gradient):
        """The direction of descent that the last pairs of moves and changes of the gradient give."""
        going, shares = -gradient, []
        for moved, changed, inverse in reversed(self.memory["pairs"]):
            share = float((moved * going).sum()) * inverse
            going = going - share * changed
            shares.append(share)
        going = going * self.memory["scale"]
        for (moved, changed, inverse), share in zip(self.memory["pairs"], reversed(shares), strict=True):
            going = going + (share - float((changed * going).sum()) * inverse) * moved
        return going

    def remember(self, moved, changed, size):
        """Keeps a pair where the curvature along it is positive."""
        curvature = float((changed * moved).sum())
        if curvature > 1e-10:
            pairs = self.memory["pairs"][-(size - 1) :] if size > 1 else []
            self.memory["pairs"] = [*pairs, (moved, changed, 1 / curvature)]
            self.memory["scale"] = curvature / float((changed * changed).sum())

    def step(self, closure):
        group, memory = self.param_groups[0], self.memory
        with flow.enable_grad():
            first_loss = closure()
        loss, gradient, calls = float(first_loss), self.gradient(), 1
        if float(gradient.abs().max()) <= group["tolerance_grad"]:
            return first_loss
        for turn in range(1, group["max_iter"] + 1):
            memory["iterations"] += 1
            if memory["iterations"] == 1:
                direction = -gradient
            else:
                changed, moved = gradient - memory["gradient"], memory["direction"] * memory["length"]
                self.remember(moved, changed, group["history_size"])
                direction = self.direction_of(gradient)
            first = min(1.0, 1 / float(gradient.abs().sum())) if memory["iterations"] == 1 else 1.0
            length, slope, loss_before = first * group["lr"], float((gradient * direction).sum()), loss
            memory.update(gradient=gradient, direction=direction, length=length)
            if slope > -group["tolerance_change"]:
                break
            if group["line_search_fn"] == "strong_wolfe":
                start = [each.detach().clone() for each in self.all_parameters()]

                def along(distance, start=start, direction=direction):
                    return self.measured_at(closure, start, direction, distance)

                loss, gradient, length, more = searched_along(along, direction, length, loss, gradient, slope)
                memory["length"], calls = length, calls + more
                self.move(direction, length)
            else:
                self.move(direction, length)
                if turn != group["max_iter"]:
                    loss, gradient = self.measured(closure)
                    calls += 1
            is_still = float((direction * length).abs().max()) <= group["tolerance_change"]
            is_flat = float(gradient.abs().max()) <= group["tolerance_grad"]
            if calls >= group["max_eval"] or is_flat or is_still or abs(loss - loss_before) < group["tolerance_change"]:
                break
        return first_loss


def lowest_of_cubic(one, other, bounds=None):
    """Where the cubic through two points with their slopes is lowest, within bounds. A point: place, value, slope."""
    left, right = (one, other) if one[0] <= other[0] else (other, one)
    low, high = bounds or (left[0], right[0])
    first = left[2] + right[2] - 3 * (left[1] - right[1]) / (left[0] - right[0])
    square = first**2 - left[2] * right[2]
    if square < 0:
        return (low + high) / 2
    root = square**0.5
    found = right[0] - (right[0] - left[0]) * ((right[2] + root - first) / (right[2] - left[2] + 2 * root))
    return min(max(found, low), high)


def searched_along(measure, direction, length, loss, gradient, slope, largest=25):
    """A step at which the loss falls enough and is flat enough, by the strong conditions of Wolfe.

    Returns the loss and the gradient there, the length of the step, and how often the loss was asked for.
    """
    enough, flat, least, width = 1e-4, 0.9, 1e-9, float(direction.abs().max())

    def point(place):
        value, there = measure(place)
        return (place, value, float((there * direction).sum()), there)

    origin = (0.0, loss, slope, gradient)
    before, now, calls, turn = origin, point(length), 1, 0
    bracket, done = None, False
    while turn < largest:
        if now[1] > loss + enough * now[0] * slope or (turn > 1 and now[1] >= before[1]):
            bracket = [before, now]
            break
        if abs(now[2]) <= -flat * slope:
            bracket, done = [now], True
            break
        if now[2] >= 0:
            bracket = [before, now]
            break
        bounds = (now[0] + 0.01 * (now[0] - before[0]), now[0] * 10)
        following = lowest_of_cubic(before, now, bounds)
        before, now = now, point(following)
        calls, turn = calls + 1, turn + 1
    if turn == largest or bracket is None:
        bracket = [origin, now]
    stuck = False
    low, high = (0, -1) if bracket[0][1] <= bracket[-1][1] else (1, 0)
    while not done and turn < largest:
        places = [each[0] for each in bracket]
        if abs(places[1] - places[0]) * width < least:
            break
        following = lowest_of_cubic(bracket[0], bracket[1])
        margin = 0.1 * (max(places) - min(places))
        if min(max(places) - following, following - min(places)) < margin:
            if stuck or following >= max(places) or following <= min(places):
                near_high = abs(following - max(places)) < abs(following - min(places))
                following, stuck = (max(places) - margin if near_high else min(places) + margin), False
            else:
                stuck = True
        else:
            stuck = False
        now = point(following)
        calls, turn = calls + 1, turn + 1
        if now[1] > loss + enough * following * slope or now[1] >= bracket[low][1]:
            bracket[high] = now
            low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
        else:
            if abs(now[2]) <= -flat * slope:
                done = True
            elif now[2] * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = now
    best = bracket[low] if len(bracket) > 1 else bracket[0]
    return best[1], best[3], best[0], calls


@stands_for("torch.optim.SparseAdam", because="OneFlow's gradients are dense: what has a gradient of 0 is left alone.")
class SparseAdam(Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def update(self, parameter, gradient, state, group):
        first, second = group["betas"]
        rows = gradient.reshape(gradient.shape[0], -1) != 0
        seen = (rows.to(flow.float32).sum(dim=1) > 0).reshape(-1, *[1] * (gradient.ndim - 1)).to(parameter.dtype)
        average, squares = kept(state, "exp_avg", parameter), kept(state, "exp_avg_sq", parameter)
        average = state["exp_avg"] = average + seen * (gradient - average) * (1 - first)
        squares = state["exp_avg_sq"] = squares + seen * (gradient * gradient - squares) * (1 - second)
        size = group["lr"] * (1 - second ** state["step"]) ** 0.5 / (1 - first ** state["step"])
        parameter[...] = parameter - seen * size * average / (flow.sqrt(squares) + group["eps"])
