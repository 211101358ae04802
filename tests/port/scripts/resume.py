"""Trains, writes a checkpoint, and goes on from it as a new run would."""

import os

import torch
import torch.nn as nn
import torch.optim as optim


def build():
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=60)
    return model, optimizer, scheduler


def save_checkpoint(state, is_best, filename="checkpoint.pth.tar"):
    torch.save(state, filename)
    if is_best:
        torch.save(state["state_dict"], "model_best.pth.tar")


def train(model, optimizer, scheduler, data, target, start, stop):
    criterion = nn.SmoothL1Loss()
    best = float("inf")
    for step in range(start, stop):
        chosen = torch.randint(0, len(data), (16,))
        loss = criterion(model(data[chosen]), target[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        is_best, best = loss.item() < best, min(loss.item(), best)
    save_checkpoint(
        {
            "epoch": stop,
            "state_dict": model.state_dict(),
            "best": best,
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
        },
        is_best,
    )
    print("step", stop, "loss", round(loss.item(), 4))


torch.manual_seed(0)
data = torch.randn(64, 6)
target = torch.sin(data.sum(dim=1, keepdim=True))
train(*build(), data, target, 0, 25)
model, optimizer, scheduler = build()
checkpoint = torch.load("checkpoint.pth.tar", map_location="cpu")
model.load_state_dict(checkpoint["state_dict"])
optimizer.load_state_dict(checkpoint["optimizer"])
scheduler.load_state_dict(checkpoint["scheduler"])
train(model, optimizer, scheduler, data, target, checkpoint["epoch"], 50)
assert os.path.isfile("checkpoint.pth.tar")
