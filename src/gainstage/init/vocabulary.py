"""Names of torch's functions by what they do to a level; without underscores around them."""

from __future__ import annotations

from typing import Final

PRODUCTS: Final = frozenset(
    """
    linear addmm bilinear embedding matmul mm rmatmul multi_head_attention_forward
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
    lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell
    """.split()
)
"""They multiply by a parameter, if one is among their arguments."""

ACTIVATIONS: Final = frozenset(
    """
    relu relu6 tanh sigmoid gelu silu elu selu celu leaky_relu prelu rrelu softplus mish hardswish
    hardtanh hardsigmoid softsign logsigmoid sin
    """.split()
)

UNARY: Final = ACTIVATIONS | frozenset(
    """
    threshold cos exp erf abs square sqrt log1p clamp clamp_min clamp_max pow neg hardshrink
    softshrink tanhshrink sign sinh cosh atan rsqrt
    """.split()
)
"""Functions of one variable, activations among them."""

NORMS: Final = frozenset(
    "layer_norm batch_norm sync_batch_norm group_norm instance_norm rms_norm".split()
)

ADDS: Final = frozenset("add iadd radd".split())

LEVELLERS: Final = frozenset(
    "mul matmul bmm baddbmm einsum softmax scaled_dot_product_attention glu cat".split()
)
"""What comes out has a level of its own, which no activation before it explains."""

MOVES: Final = frozenset(
    """
    view reshape flatten unflatten transpose permute t T mT H squeeze unsqueeze expand expand_as
    repeat repeat_interleave contiguous clone getitem select narrow index_select chunk split unbind
    tensor_split movedim moveaxis swapaxes swapdims roll flip pad pixel_shuffle pixel_unshuffle
    unfold detach to float double half bfloat16 type type_as view_as reshape_as requires_grad
    upsample interpolate channel_shuffle broadcast_to rot90 diagonal
    """.split()
)
"""They only move elements about."""
