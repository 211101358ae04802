"""The step of a decoder of transformers' whose keys and values go in and come out: `capture FOLDER --cache`.

    logits, past = model(input_ids, past)
    logits, past = model(decoder_input_ids, states, past)       where an encoder made `states`, [batch, source, size]

`past` is a list with a pair for each layer, keys and values of `[batch, heads, past, size]`; with none of length 0 the
step reads a prompt. The model stays what it is, with its class's name and its keys; only its `forward` is another.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from torch2flow.errors import UnsupportedError
from torch2flow.proof.capture.factories import in_words

SIZES = {"batch": 2, "new": 3, "past": 7}
"""How long the named axes are in the sample."""

SOURCE = {"source": 5}
"""The same of what an encoder made."""

TOKENS, STATES, PAST = {0: "batch", 1: "new"}, {0: "batch", 1: "source"}, {0: "batch", 2: "past"}
"""The named axes of the inputs; those of the last are the same for all keys and values."""


def as_decode_step(model: Any, folder: Path) -> None:
    """Gives a model the `forward` above.

    Raises:
        UnsupportedError: it is no decoder whose cache is keys and values alone.
    """
    library = importlib.import_module("transformers")
    kind = type(model)
    if not hasattr(kind, "generate"):
        raise UnsupportedError(
            f"{kind.__name__} is no decoder of text, which --cache is for.",
            where=str(folder),
            remedy="capture it without --cache",
        )

    def forward(self: Any, input_ids: Any, past: Any) -> Any:
        cache = cache_of(library, past)
        output = kind.forward(self, input_ids=input_ids, past_key_values=cache, use_cache=True)
        return output.logits, pairs_of(output.past_key_values)

    def forward_with_states(self: Any, decoder_input_ids: Any, states: Any, past: Any) -> Any:
        encoded = library.modeling_outputs.BaseModelOutput(last_hidden_state=states)
        # What the decoder attends to in the states is computed anew in each step, and is no part of what is kept.
        cache = library.EncoderDecoderCache(cache_of(library, past), library.DynamicCache())
        output = kind.forward(
            self, encoder_outputs=encoded, decoder_input_ids=decoder_input_ids, past_key_values=cache, use_cache=True
        )
        return output.logits, pairs_of(output.past_key_values.self_attention_cache)

    own = forward_with_states if has_encoder(model) else forward
    model.__class__ = type(kind.__name__, (kind,), {"forward": own, "__module__": kind.__module__})


def has_encoder(model: Any) -> bool:
    """Whether a decoder attends to what an encoder made."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def axes_of(model: Any) -> dict[int | str, dict[int, str]]:
    """The named axes of the step's inputs, by their places."""
    return dict(enumerate((TOKENS, STATES, PAST) if has_encoder(model) else (TOKENS, PAST)))


def cache_of(library: Any, past: Any) -> Any:
    """Keys and values as a cache of the library's, which keeps all of them: what is too far away a mask hides.

    It is of a class of its own: PyTorch takes the library's apart and makes a new one where it crosses a module's
    border, and what a layer adds to that would be lost.
    """
    cache = type("KeysAndValues", (library.DynamicCache,), {})()
    for keys, values in past:
        if hasattr(cache, "layers"):
            layer = library.cache_utils.DynamicLayer()
            layer.keys, layer.values, layer.is_initialized = keys, values, True
            layer.dtype, layer.device = keys.dtype, keys.device
            cache.layers.append(layer)
        else:
            cache.key_cache.append(keys)
            cache.value_cache.append(values)
    return cache


def pairs_of(cache: Any) -> list[tuple[Any, Any]]:
    """The keys and values of the library's cache."""
    if hasattr(cache, "layers"):
        return [(layer.keys, layer.values) for layer in cache.layers]
    return list(zip(cache.key_cache, cache.value_cache, strict=True))


def sample_call(torch: Any, model: Any, sizes: dict[str, int], seed: int, folder: Path) -> tuple[Any, ...]:
    """Tokens, and the keys and values that the model itself has after others.

    Raises:
        UnsupportedError: it gives none, or has other state beside them.
    """
    generator = torch.Generator().manual_seed(seed)
    text = getattr(model.config, "text_config", model.config)

    def tokens(count: int) -> Any:
        return torch.randint(0, int(text.vocab_size), (sizes["batch"], count), generator=generator)

    before, ids = tokens(sizes["past"]), tokens(sizes["new"])
    states: tuple[Any, ...] = ()
    if has_encoder(model):
        shape, like = (sizes["batch"], sizes["source"], text.hidden_size), next(iter(model.parameters()))
        states = (torch.randn(shape, generator=generator).to(like.dtype),)
    try:
        with torch.no_grad():
            _, past = model(before, *states, [])
    except Exception as error:
        raise UnsupportedError(
            f"The model gives no keys and values to go on with: {in_words(error, 300)}", where=str(folder)
        ) from None
    if not past or not all(isinstance(each, torch.Tensor) and each.dim() == 4 for pair in past for each in pair):
        raise UnsupportedError(
            "The model keeps something else than keys and values from step to step.",
            where=str(folder),
            maybe="it is a recurrent model, or keeps a window of its own",
            remedy="capture it without --cache",
        )
    return ids, *states, [(keys.clone(), values.clone()) for keys, values in past]
