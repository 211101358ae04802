"""Sub-pixel super-resolution, in the style of the well-known example, on made data."""

from math import log10

import torch
import torch.nn as nn
import torch.nn.init as init
import torch.optim as optim
from torch.utils.data import DataLoader, Dataset


class Net(nn.Module):
    def __init__(self, upscale_factor):
        super(Net, self).__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 16, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(16, 8, (3, 3), (1, 1), (1, 1))
        self.conv3 = nn.Conv2d(8, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
        self._initialize_weights()

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        x = self.pixel_shuffle(self.conv3(x))
        return x

    def _initialize_weights(self):
        init.orthogonal_(self.conv1.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv2.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv3.weight)


class Waves(Dataset):
    def __init__(self, count, size, factor):
        grid = torch.linspace(0, 6, size)
        self.images = [torch.sin(grid[:, None] * (n % 5 + 1)) * torch.cos(grid[None] * (n % 3 + 1)) for n in range(count)]
        self.factor = factor

    def __getitem__(self, index):
        image = self.images[index][None]
        small = nn.functional.interpolate(image[None], scale_factor=1 / self.factor, mode="bilinear", align_corners=False)
        return small[0], image

    def __len__(self):
        return len(self.images)


torch.manual_seed(123)
train_set, test_set = Waves(40, 24, 3), Waves(7, 24, 3)
training_data_loader = DataLoader(dataset=train_set, num_workers=0, batch_size=4, shuffle=True)
testing_data_loader = DataLoader(dataset=test_set, num_workers=0, batch_size=7, shuffle=False)
model = Net(upscale_factor=3)
criterion = nn.MSELoss()
optimizer = optim.Adam(model.parameters(), lr=0.001)
for epoch in range(1, 7):
    epoch_loss = 0
    for iteration, batch in enumerate(training_data_loader, 1):
        input, target = batch[0], batch[1]
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        epoch_loss += loss.item()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        psnr = sum(10 * log10(1 / criterion(model(x), y).item()) for x, y in testing_data_loader)
    print("===> Epoch {}: Loss {:.4f}, PSNR {:.4f} dB".format(epoch, epoch_loss / len(training_data_loader), psnr))
