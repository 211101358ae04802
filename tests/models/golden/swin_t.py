"""SwinTransformer for OneFlow.

Written by torch2flow 0.1.0 from torchvision-swin_t-dynamic.pt2, which torch 2.13.0 wrote.
"""

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Permute(nn.Module):
    def __init__(self, dims):
        super().__init__()
        self.dims = dims

    def forward(self, x):
        return x.permute(*self.dims)


class ShiftedWindowAttention(nn.Module):
    def __init__(
        self,
        num_heads,
        in_features,
        out_features,
        pad_H_window_size,
        pad_H,
        pad_r,
        height,
        with_roll=False,
        num_windows=None,
    ):
        super().__init__()
        self.in_features = in_features
        self.pad_H_window_size = pad_H_window_size
        self.pad_H = pad_H
        self.pad_r = pad_r
        self.height = height
        self.with_roll = with_roll
        self.num_windows = num_windows
        self.window_size = (7, 7)
        self.num_heads = num_heads
        self.relative_position_bias_table = nn.Parameter(flow.zeros(169, num_heads))
        self.register_buffer("relative_position_index", flow.zeros(2401, dtype=flow.int64))
        self.qkv = nn.Linear(in_features, out_features)
        self.proj = nn.Linear(in_features, in_features)

    def forward(self, x):
        relative_position_bias = self.relative_position_bias_table[self.relative_position_index]
        relative_position_bias = relative_position_bias.reshape(49, 49, -1)
        relative_position_bias = relative_position_bias.permute(2, 0, 1).unsqueeze(0)
        x_2 = F.pad(x, (0, 0, 0, self.pad_r, 0, self.pad_r))
        if self.with_roll:
            x_2 = flow.roll(x_2, (-3, -3), (1, 2))
        x_2 = x_2.reshape(
            x_2.shape[0],
            self.pad_H_window_size,
            self.window_size[0],
            self.pad_H_window_size,
            self.window_size[1],
            self.in_features,
        )
        if self.num_windows is not None:
            x_2 = x_2.permute(0, 1, 3, 2, 4, 5).reshape(
                self.num_windows * x_2.shape[0],
                self.window_size[0] * self.window_size[1],
                self.in_features,
            )
        else:
            x_2 = x_2.permute(0, 1, 3, 2, 4, 5).reshape(
                x_2.shape[0], self.window_size[0] * self.window_size[1], self.in_features
            )
        qkv = self.qkv(x_2)
        qkv = qkv.reshape(qkv.shape[0], 49, 3, self.num_heads, 32).permute(2, 0, 3, 1, 4)
        q = qkv[0]
        k = qkv[1]
        v = qkv[2]
        q = q * 0.1767766952966369
        attn = flow.matmul(q, k.transpose(-2, -1))
        attn = attn + relative_position_bias
        if self.with_roll:
            attn_mask = flow.zeros((self.pad_H, self.pad_H), dtype=flow.float32, device=x_2.device)
            attn_mask[:-7, :-7] = 0.0
            attn_mask[:-7, -7:-3] = 1.0
            attn_mask[:-7, -3:] = 2.0
            attn_mask[-7:-3, :-7] = 3.0
            attn_mask[-7:-3, -7:-3] = 4.0
            attn_mask[-7:-3, -3:] = 5.0
            attn_mask[-3:, :-7] = 6.0
            attn_mask[-3:, -7:-3] = 7.0
            attn_mask[-3:, -3:] = 8.0
            attn_mask = attn_mask.reshape(
                self.pad_H_window_size,
                self.window_size[0],
                self.pad_H_window_size,
                self.window_size[1],
            )
            attn_mask = attn_mask.permute(0, 2, 1, 3).reshape(
                self.num_windows, self.window_size[0] * self.window_size[1]
            )
            attn_mask = attn_mask.unsqueeze(1) - attn_mask.unsqueeze(2)
            attn_mask = attn_mask.masked_fill(attn_mask != 0, -100.0).masked_fill(
                attn_mask == 0, 0.0
            )
            attn = attn.reshape(x.shape[0], self.num_windows, self.num_heads, 49, 49)
            attn = attn + attn_mask.unsqueeze(1).unsqueeze(0)
            attn = attn.reshape(-1, self.num_heads, 49, 49)
        attn = F.softmax(attn, dim=-1)
        x_2 = flow.matmul(attn, v).transpose(1, 2).reshape(v.shape[0], 49, self.in_features)
        x_2 = self.proj(x_2)
        if self.num_windows is None:
            x = x_2
        x = x_2.reshape(
            x.shape[0],
            self.pad_H_window_size,
            self.pad_H_window_size,
            self.window_size[0],
            self.window_size[1],
            self.in_features,
        )
        x = x.permute(0, 1, 3, 2, 4, 5).reshape(
            x.shape[0], self.pad_H, self.pad_H, self.in_features
        )
        if self.with_roll:
            x = flow.roll(x, (3, 3), (1, 2))
        x = x[:, : self.height]
        x = x[:, :, : self.height]
        return x


class StochasticDepth(nn.Module):
    def __init__(self, survival_rate):
        super().__init__()
        self.survival_rate = survival_rate

    def forward(self, input):
        if not self.training:
            return input
        noise = flow.zeros((input.shape[0], 1, 1, 1), dtype=flow.float32, device=input.device)
        noise = (flow.rand(noise.shape, device=noise.device) < self.survival_rate).to(noise.dtype)
        return input * (noise / self.survival_rate)


class MLP(nn.Sequential):
    def __init__(self, in_features, out_features):
        super().__init__(
            nn.Linear(in_features, out_features),
            nn.GELU(),
            nn.Dropout(p=0.0),
            nn.Linear(out_features, in_features),
            nn.Dropout(p=0.0),
        )


class SwinTransformerBlock(nn.Module):
    def __init__(
        self,
        normalized_shape,
        num_heads,
        out_features,
        pad_H_window_size,
        pad_H,
        pad_r,
        height,
        mlp_out_features,
        with_roll=False,
        num_windows=None,
        survival_rate=None,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(normalized_shape)
        self.attn = ShiftedWindowAttention(
            num_heads,
            normalized_shape,
            out_features,
            pad_H_window_size,
            pad_H,
            pad_r,
            height,
            with_roll=with_roll,
            num_windows=num_windows,
        )
        self.stochastic_depth = (
            nn.Identity() if survival_rate is None else StochasticDepth(survival_rate)
        )
        self.norm2 = nn.LayerNorm(normalized_shape)
        self.mlp = MLP(normalized_shape, mlp_out_features)

    def forward(self, x):
        x = x + self.stochastic_depth(self.attn(self.norm1(x)))
        x = x + self.stochastic_depth(self.mlp(self.norm2(x)))
        return x


class PatchMerging(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.reduction = nn.Linear(in_features, out_features, bias=False)
        self.norm = nn.LayerNorm(in_features)

    def forward(self, x):
        x = F.pad(x, (0, 0, 0, 0, 0, 0))
        x0 = x[:, ::2][:, :, ::2]
        x1 = x[:, 1::2][:, :, ::2]
        x2 = x[:, ::2][:, :, 1::2]
        x3 = x[:, 1::2][:, :, 1::2]
        x = flow.cat((x0, x1, x2, x3), dim=-1)
        x = self.norm(x)
        x = self.reduction(x)
        return x


class SwinTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 96, 4, stride=4), Permute((0, 2, 3, 1)), nn.LayerNorm(96)),
            nn.Sequential(
                SwinTransformerBlock(96, 3, 288, 3, 21, 5, 16, 384, num_windows=9),
                SwinTransformerBlock(
                    96,
                    3,
                    288,
                    3,
                    21,
                    5,
                    16,
                    384,
                    with_roll=True,
                    num_windows=9,
                    survival_rate=0.9818181818181818,
                ),
            ),
            PatchMerging(384, 192),
            nn.Sequential(
                SwinTransformerBlock(
                    192, 6, 576, 2, 14, 6, 8, 768, num_windows=4, survival_rate=0.9636363636363636
                ),
                SwinTransformerBlock(
                    192,
                    6,
                    576,
                    2,
                    14,
                    6,
                    8,
                    768,
                    with_roll=True,
                    num_windows=4,
                    survival_rate=0.9454545454545454,
                ),
            ),
            PatchMerging(768, 384),
            nn.Sequential(
                SwinTransformerBlock(
                    384, 12, 1152, 1, 7, 3, 4, 1536, survival_rate=0.9272727272727272
                ),
                SwinTransformerBlock(
                    384, 12, 1152, 1, 7, 3, 4, 1536, survival_rate=0.9090909090909091
                ),
                SwinTransformerBlock(
                    384, 12, 1152, 1, 7, 3, 4, 1536, survival_rate=0.8909090909090909
                ),
                SwinTransformerBlock(
                    384, 12, 1152, 1, 7, 3, 4, 1536, survival_rate=0.8727272727272727
                ),
                SwinTransformerBlock(
                    384, 12, 1152, 1, 7, 3, 4, 1536, survival_rate=0.8545454545454545
                ),
                SwinTransformerBlock(
                    384, 12, 1152, 1, 7, 3, 4, 1536, survival_rate=0.8363636363636364
                ),
            ),
            PatchMerging(1536, 768),
            nn.Sequential(
                SwinTransformerBlock(
                    768, 24, 2304, 1, 7, 5, 2, 3072, survival_rate=0.8181818181818181
                ),
                SwinTransformerBlock(768, 24, 2304, 1, 7, 5, 2, 3072, survival_rate=0.8),
            ),
        )
        self.norm = nn.LayerNorm(768)
        self.permute = Permute((0, 3, 1, 2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(768, 1000)

    def forward(self, x):
        x = self.features(x)
        x = self.norm(x)
        x = self.permute(x)
        x = self.avgpool(x)
        x = self.flatten(x)
        x = self.head(x)
        return x
