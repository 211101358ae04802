"""Attention as a function of the tensors of `nn.MultiheadAttention`, which models call that keep these elsewhere."""

from torch2flow.models.lowering.lazy import F, nn
from torch2flow.models.lowering.modules.classes.attention import MultiheadAttention
from torch2flow.port.compat.registry import stands_for


class AttentionOfTensors(MultiheadAttention):
    """The module, of tensors that belong to another one."""

    def __init__(self, heads, in_proj, biases, add_zero_attn, dropout, out_proj, training):
        nn.Module.__init__(self)
        weight, self.in_proj_bias, separate = in_proj
        self.same_dims = separate is None
        if self.same_dims:
            self.in_proj_weight = weight
        else:
            self.q_proj_weight, self.k_proj_weight, self.v_proj_weight = separate
        self.embed_dim, self.num_heads, self.batch_first = out_proj[0].shape[1], heads, False
        self.bias_k, self.bias_v = biases
        self.add_zero_attn, self.dropout, self.training = add_zero_attn, dropout, training
        self.out_proj = lambda x: F.linear(x, *out_proj)


@stands_for(
    "torch.nn.functional.multi_head_attention_forward", because="OneFlow has no `multi_head_attention_forward`."
)
def multi_head_attention_forward(
    query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn,
    dropout_p, out_proj_weight, out_proj_bias, training=True, key_padding_mask=None, need_weights=True, attn_mask=None,
    use_separate_proj_weight=False, q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, static_k=None,
    static_v=None, average_attn_weights=True, is_causal=False,
):  # fmt: skip
    if static_k is not None or static_v is not None:
        raise NotImplementedError("multi_head_attention_forward in OneFlow takes no `static_k` and no `static_v`.")
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    in_proj, out_proj = (in_proj_weight, in_proj_bias, separate), (out_proj_weight, out_proj_bias)
    attention = AttentionOfTensors(
        num_heads, in_proj, (bias_k, bias_v), add_zero_attn, dropout_p, out_proj, training
    )  # fmt: skip
    return attention(query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights)
