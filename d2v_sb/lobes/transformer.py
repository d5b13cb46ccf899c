"""The transformer of data2vec: post-norm blocks over positioned frames.

    x -> zero padding -> x + positions -> pack -> norm -> dropout -> L blocks
    block: x = norm(x + attention(x));  x = norm(x + ffn(x))

There is no final norm, and no pre-norm variant: data2vec Large is post-norm,
unlike wav2vec 2.0 Large.

Authors
 * The d2v_sb developers 2026
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from d2v_sb.lobes.affine import Linear
from d2v_sb.lobes.layers import Fp32LayerNorm, Freezable
from d2v_sb.lobes.positional import PositionalConv
from d2v_sb.lobes.recomputing import num_recomputed, recompute

INIT_STD = 0.02  # fairseq: init_bert_params


class Context(NamedTuple):
    """What the transformer computed.

    last_hidden_state is (B, T, D). hidden_states are the L+1 states (input of
    the first block first), ffn_outputs those of the last K blocks; both are
    empty unless asked for.
    """

    last_hidden_state: torch.Tensor
    hidden_states: tuple
    ffn_outputs: tuple


class SelfAttention(nn.Module):
    """Multi-head self-attention through torch's fused kernels.

    Arguments
    ---------
    width : int
        Of the frames.
    num_heads : int
        A divisor of width.
    dropout : float
        On attention weights.

    Example
    -------
    >>> SelfAttention(16, 4)(torch.rand(2, 9, 16)).shape
    torch.Size([2, 9, 16])
    """

    def __init__(self, width, num_heads, dropout=0.0):
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.q_proj = Linear(width, width)
        self.k_proj = Linear(width, width)
        self.v_proj = Linear(width, width)
        self.out_proj = Linear(width, width)

    def forward(self, x, packing=None):
        """x (B, T, D), or packed (N, D): as it came."""
        q, k, v = (
            projection(x).unflatten(-1, (self.num_heads, -1))
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        dropout = self.dropout if self.training else 0.0
        if packing is None:
            q, k, v = (y.transpose(1, 2) for y in (q, k, v))
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
            y = y.transpose(1, 2)
        else:
            y = packing.attend(q, k, v, dropout)
        return self.out_proj(y.flatten(-2))


class TransformerLayer(Freezable):
    """A post-norm block that also hands out its FFN output.

    Arguments
    ---------
    config : EncoderConfig
        Sizes and dropout.

    Example
    -------
    >>> from d2v_sb.presets import PRESETS
    >>> x, ffn = TransformerLayer(PRESETS["tiny"])(torch.rand(2, 9, 128))
    >>> x.shape == ffn.shape
    True
    """

    def __init__(self, config):
        super().__init__()
        width = config.encoder_embed_dim
        self.self_attn = SelfAttention(
            width, config.encoder_attention_heads, config.attention_dropout
        )
        self.self_attn_layer_norm = Fp32LayerNorm(width)
        self.fc1 = Linear(width, config.encoder_ffn_embed_dim)
        self.fc2 = Linear(config.encoder_ffn_embed_dim, width)
        self.final_layer_norm = Fp32LayerNorm(width)
        self.dropout = config.dropout
        self.activation_dropout = config.activation_dropout

    def forward(self, x, packing=None):
        """Runs the block.

        Arguments
        ---------
        x : torch.Tensor
            (B, T, D); the valid frames (N, D) of a padded batch.
        packing : Packing, optional
            Of which rows they are.

        Returns
        -------
        torch.Tensor
            The block's output, as x.
        torch.Tensor
            The FFN's output before dropout, residual and norm, as x: the
            targets of data2vec (paper, section 3.3 and table 4).
        """
        y = self.self_attn(x, packing)
        x = self.self_attn_layer_norm(
            x + F.dropout(y, self.dropout, self.training)
        )
        y = F.gelu(self.fc1(x))
        ffn = self.fc2(F.dropout(y, self.activation_dropout, self.training))
        x = self.final_layer_norm(
            x + F.dropout(ffn, self.dropout, self.training)
        )
        return x, ffn


class _Attach(torch.autograd.Function):
    """Identity on x that gives its parameters zero gradients.

    A block that LayerDrop skips would have no gradient, and DDP would wait
    for it unless told to search the graph (find_unused_parameters).
    """

    @staticmethod
    def forward(ctx, x, *parameters):
        ctx.parameters = parameters
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        zeros = (
            torch.zeros_like(p) if needed else None
            for p, needed in zip(
                ctx.parameters, ctx.needs_input_grad[1:], strict=True
            )
        )
        return grad, *zeros


class TransformerEncoder(nn.Module):
    """Positions, norm and the stack of blocks.

    Arguments
    ---------
    config : EncoderConfig
        Sizes and regularisation.
    padding : str
        "exact" or "fairseq", see ``PositionalConv``.
    checkpoint_activations : bool or int
        Recompute all blocks, or the first so many, in the backward pass
        instead of storing what they computed.

    Example
    -------
    >>> from d2v_sb.presets import PRESETS
    >>> stack = TransformerEncoder(PRESETS["tiny"])
    >>> out = stack(torch.rand(2, 9, 128), output_all_hiddens=True)
    >>> len(out.hidden_states)
    3
    """

    def __init__(self, config, padding="exact", checkpoint_activations=False):
        super().__init__()
        self.positions = PositionalConv(config, padding)
        self.layer_norm = Fp32LayerNorm(config.encoder_embed_dim)
        self.layers = nn.ModuleList(
            TransformerLayer(config) for _ in range(config.encoder_layers)
        )
        self.dropout = config.dropout
        self.layerdrop = config.encoder_layerdrop
        self.num_recomputed = num_recomputed(
            checkpoint_activations, config.encoder_layers
        )
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, INIT_STD)
                nn.init.zeros_(module.bias)

    def forward(self, x, packing=None, output_all_hiddens=False, top_k_ffn=0):
        """Contextualises frames.

        Arguments
        ---------
        x : torch.Tensor
            Projected frames (B, T, D).
        packing : Packing, optional
            Which of them are padding. What comes out for these is zero.
        output_all_hiddens : bool
            Whether to keep all L+1 states.
        top_k_ffn : int
            Of how many last blocks to keep the FFN output.

        Returns
        -------
        Context
            The last state, and what was asked for.
        """
        mask = None if packing is None else packing.padding_mask
        if mask is not None:
            x = x.masked_fill(mask[:, :, None], 0.0)
        x = x + self.positions(x, mask)
        if packing is not None:
            x = packing.pack(x)
        x = self.layer_norm(x)
        # Frozen positions and norm are deterministic: no dropout behind them.
        active = self.training and not self.positions.frozen
        x = F.dropout(x, self.dropout, active)
        context = self._blocks(x, packing, output_all_hiddens, top_k_ffn)
        return context if packing is None else _unpack(context, packing)

    # LayerDrop's choices change from step to step: compiled as one graph, the
    # loop would be compiled anew for each. Blocks compile one by one and
    # share their code.
    @torch.compiler.disable(recursive=False)
    def _blocks(self, x, packing, output_all_hiddens, top_k_ffn):
        hiddens = [x] if output_all_hiddens else []
        ffns = []
        first_ffn = len(self.layers) - top_k_ffn
        for i, layer in enumerate(self.layers):
            if self._drops(layer):
                x = _Attach.apply(x, *layer.parameters())
                ffn = torch.zeros_like(x)
            elif i < self.num_recomputed:
                x, ffn = recompute(layer, x, packing)
            else:
                x, ffn = layer(x, packing)
            if output_all_hiddens:
                hiddens.append(x)
            if i >= first_ffn:
                ffns.append(ffn)
        return Context(x, tuple(hiddens), tuple(ffns))

    @torch.compiler.disable
    def _drops(self, layer):
        """Whether LayerDrop skips this block now; a frozen one, never."""
        if not layer.training or self.layerdrop <= 0:
            return False
        return torch.rand(()).item() < self.layerdrop


def _unpack(context, packing):
    """The padded batch again."""
    unpack = packing.unpack
    hiddens, ffns = (
        tuple(unpack(x) for x in states)
        for states in (context.hidden_states, context.ffn_outputs)
    )
    # The last of all states is the output: unpacked once.
    last = hiddens[-1] if hiddens else unpack(context.last_hidden_state)
    return Context(last, hiddens, ffns)
