"""Mixed precision with accumulated gradients, warm-up, parameter groups and an average of the weights."""

import copy
import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


class Residual(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.scale = nn.Parameter(0.1 * torch.ones(dim))

    def forward(self, x):
        return x + self.scale * self.fc(self.norm(x))


@torch.no_grad()
def update_average(average, model, decay=0.9):
    for kept, new in zip(average.parameters(), model.parameters()):
        kept.mul_(decay).add_(new, alpha=1 - decay)


torch.manual_seed(3)
device = "cuda" if torch.cuda.is_available() else "cpu"
use_amp = device == "cuda"
model = nn.Sequential(nn.Linear(12, 24), *[Residual(24) for _ in range(3)], nn.Linear(24, 3)).to(device)
average = copy.deepcopy(model).requires_grad_(False)
decayed = [p for p in model.parameters() if p.ndim > 1]
others = [p for p in model.parameters() if p.ndim <= 1]
optimizer = torch.optim.AdamW(
    [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}], lr=1e-2, betas=(0.9, 0.95)
)
scheduler = LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 5) * 0.5 * (1 + math.cos(math.pi * step / 30)))
scaler = torch.cuda.amp.GradScaler(enabled=use_amp)
inputs = torch.randn(240, 12)
targets = (inputs[:, :3] * inputs[:, 3:6]).argmax(dim=1)
steps = 2
for epoch in range(3):
    order = torch.randperm(len(inputs))
    for place, chosen in enumerate(order.split(12)):
        x, y = inputs[chosen].to(device), targets[chosen].to(device)
        with torch.cuda.amp.autocast(enabled=use_amp):
            loss = nn.functional.cross_entropy(model(x), y, label_smoothing=0.1) / steps
        scaler.scale(loss).backward()
        if (place + 1) % steps == 0:
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.5)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            scheduler.step()
            update_average(average, model)
    with torch.inference_mode():
        accuracy = (average(inputs.to(device)).argmax(1).cpu() == targets).float().mean().item()
    print(f"{epoch}: {accuracy:.3f}, lr {scheduler.get_last_lr()[0]:.5f}")
