"""The kinds of operation that rules tell apart, by the names that the probe gives them."""

from __future__ import annotations

from typing import Final

PARAMETRIC: Final = frozenset(
    [
        "Linear",
        "Bilinear",
        "Conv1d",
        "Conv2d",
        "Conv3d",
        "ConvTranspose1d",
        "ConvTranspose2d",
        "ConvTranspose3d",
        "matmul",
        "linear",
        "conv",
        "RNN",
        "LSTM",
        "GRU",
    ]
)
RECTIFIERS: Final = frozenset({"relu", "relu6", "ReLU6", "Hardtanh", "Threshold"})
BOUNDED: Final = frozenset({"tanh", "sigmoid"})
NORMS: Final = frozenset(
    {
        "BatchNorm1d",
        "BatchNorm2d",
        "BatchNorm3d",
        "LayerNorm",
        "GroupNorm",
        "InstanceNorm1d",
        "InstanceNorm2d",
        "RMSNorm",
        "batch_norm",
        "layer_norm",
        "group_norm",
    }
)
