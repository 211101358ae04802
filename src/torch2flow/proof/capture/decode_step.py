"""The step of a decoder of transformers' whose keys and values go in and come out: `capture FOLDER --cache`.

    logits, past = model(input_ids, past)

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

AXES = {"input_ids": {0: "batch", 1: "new"}, "past": {0: "batch", 2: "past"}}
"""The named axes of the inputs; those of `past` are the same for all keys and values."""


def as_decode_step(model: Any, folder: Path) -> None:
    """Gives a model the `forward` above.

    Raises:
        UnsupportedError: it is no decoder whose cache is keys and values alone.
    """
    library = importlib.import_module("transformers")
    kind, config = type(model), model.config
    if getattr(config, "is_encoder_decoder", False) or not hasattr(kind, "generate"):
        raise UnsupportedError(
            f"{kind.__name__} is no decoder of text, which --cache is for.",
            where=str(folder),
            remedy="capture it without --cache",
        )

    def forward(self: Any, input_ids: Any, past: Any) -> Any:
        cache = cache_of(library, past)
        output = kind.forward(self, input_ids=input_ids, past_key_values=cache, use_cache=True)
        return output.logits, pairs_of(output.past_key_values)

    model.__class__ = type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})


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
    try:
        with torch.no_grad():
            _, past = model(before, [])
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
    return ids, [(keys.clone(), values.clone()) for keys, values in past]
