"""A classifier with the habits of tutorials, trained on random pictures: what it prints is compared on both sides."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, Dataset


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.register_buffer("mask", torch.tril(torch.ones(49, 49)).view(1, 1, 49, 49))

    def forward(self, x):
        b, n, c = x.size()
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        weights = q @ k.transpose(-2, -1) / (c // self.heads) ** 0.5
        weights = weights.masked_fill(self.mask[:, :, :n, :n] == 0, float("-inf"))
        return torch.einsum("bhij,bhjd->bhid", F.softmax(weights, dim=-1), v).transpose(1, 2).contiguous().view(b, n, c)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.Tanh())
        self.attention = Attention(8, 2)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(16, 10)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight)

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        x = x + self.attention(self.norm(x))
        x = torch.cat([x.mean(dim=1), x.std(dim=1)], dim=1)
        return self.head(x)


class Pictures(Dataset):
    def __init__(self, count, dtype=torch.float32):
        generator = np.random.RandomState(0)
        self.x = torch.tensor(generator.randn(count, 1, 14, 14), dtype=dtype)
        self.y = torch.as_tensor(generator.randint(0, 10, count))

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], self.y[index]


def train(weights, steps, name, dtype=torch.float64):
    model = Net().to(dtype=dtype)
    model.load_state_dict({key: torch.tensor(value) for key, value in weights.items()})
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimizer = getattr(optim, name)(groups, lr=1e-3)
    scheduler = CosineAnnealingLR(optimizer, T_max=steps)
    criterion = nn.CrossEntropyLoss()
    loader = DataLoader(Pictures(128, dtype), batch_size=32, shuffle=False, num_workers=0)
    losses = []
    model.train()
    while len(losses) < steps:
        for data, target in loader:
            optimizer.zero_grad()
            loss = criterion(model(data), target)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        correct = sum((model(x).argmax(1) == y).sum().item() for x, y in loader)
    return losses, correct
