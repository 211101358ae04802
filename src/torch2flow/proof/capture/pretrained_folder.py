"""A model out of a folder of transformers': class and inputs by `config.json`, weights by `from_pretrained`.

    torch2flow capture ./bert -o bert.pt2

Code that lies in such a folder is never run (`trust_remote_code` stays off), and nothing is fetched.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.frameworks.pretrained_config import CONFIG, architectures
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.errors import InstallationError, Torch2FlowError, UnsupportedError, UsageError
from torch2flow.proof.capture.factories import in_words
from torch2flow.proof.capture.without_weights import CheckpointWeights, parameters_without_memory
from torch2flow.runtime.packages import install_command


def build_pretrained(folder: Path) -> Any:
    """The model, with its weights, without a cache of keys and values.

    Raises:
        InstallationError: transformers is missing, or too old for this model.
        UnsupportedError: its code lies in the folder, or its weights don't fit it.
        UsageError: the weights are larger than the memory that is free.
    """
    library, kind = _class_of(folder)
    check_memory(folder)
    try:
        library.utils.logging.disable_progress_bar()
        model, loaded = kind.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, output_loading_info=True
        )
    except Exception as error:
        raise UnsupportedError(f"transformers does not load it: {in_words(error)}", where=str(folder)) from None
    missing = sorted(loaded.get("missing_keys", ()))
    if missing:
        raise UnsupportedError(
            f"The folder has no weights for {len(missing)} tensors of {kind.__name__}: {', '.join(missing[:5])[:300]}.",
            where=str(folder),
            maybe="it holds the model without its head; transformers would draw the rest at random",
        )
    return _without_cache(model)


def build_without_weights(torch: Any, folder: Path) -> tuple[Any, CheckpointWeights]:
    """The model without memory for its weights, in the dtype that they have, and where they lie.

    Raises:
        InstallationError: transformers is missing, or too old for this model.
        UnsupportedError: its code lies in the folder, or it is not built without values.
        UsageError: the folder has not just the model's weights.
        FormatError: its checkpoint is broken or hostile.
    """
    _, kind = _class_of(folder)
    checkpoint = open_checkpoint(folder)
    floating = [tensor for tensor in checkpoint.values() if tensor.dtype.kind == "f"]
    largest = max(floating, key=lambda tensor: tensor.nbytes, default=None)
    before = torch.get_default_dtype()
    try:
        if largest is not None:
            torch.set_default_dtype(getattr(torch, largest.dtype.name))
        config = kind.config_class.from_pretrained(str(folder), local_files_only=True)
        with parameters_without_memory(torch):
            model = kind(config)
    except Exception as error:
        raise UnsupportedError(
            f"transformers does not build it without its weights: {in_words(error)}", where=str(folder)
        ) from None
    finally:
        torch.set_default_dtype(before)
    renamed = _names_in_model(model, checkpoint, folder)
    return _without_cache(model.eval()), CheckpointWeights(torch, model, checkpoint, names=renamed)


def _names_in_model(model: Any, names: Iterable[str], folder: Path) -> dict[str, str]:
    """The names of a checkpoint that transformers changes as it loads it, with those in the model.

    Raises:
        UnsupportedError: it makes tensors of the model out of several of the checkpoint.
    """
    try:
        loading = importlib.import_module("transformers.core_model_loading")
        mapping = importlib.import_module("transformers.conversion_mapping")
        changes = mapping.get_model_conversion_mapping(model)
    except (ImportError, AttributeError):
        return {}  # before 5.0 names were changed by the classes themselves, and seldom
    renamings = [change for change in changes if isinstance(change, loading.WeightRenaming)]
    others = [change for change in changes if not isinstance(change, loading.WeightRenaming)]
    state, changed, made = model.state_dict(), {}, []
    for name in names:
        new, pattern = loading.rename_source_key(name, renamings, others, model.base_model_prefix, state)
        if pattern is not None:
            made.append(name)
        elif new != name:
            changed[name] = new
    if made:
        raise UnsupportedError(
            f"transformers puts {len(made)} tensors of the checkpoint together as it loads it: {made[0][:200]}, ...",
            where=str(folder),
            maybe="they are the experts of a mixture, which the model holds as one tensor",
            remedy="capture it with its weights, on a machine that holds them",
        )
    return changed


def _class_of(folder: Path) -> tuple[Any, Any]:
    """The library, and the class that the folder's config names.

    Raises:
        InstallationError: transformers is missing.
        UnsupportedError: it has no such class.
    """
    try:
        library = importlib.import_module("transformers")
    except ImportError as error:
        raise InstallationError(
            f"transformers does not import: {in_words(error, 200)}",
            where=str(folder),
            remedy=f"{install_command('transformers')}, where PyTorch is; then this command again",
        ) from None
    name = architectures(folder)[0]
    try:
        kind = getattr(library, name)
    except (AttributeError, ImportError):
        kind = None
    if kind is None or not hasattr(kind, "from_pretrained"):
        raise UnsupportedError(
            f"The transformers that is installed ({library.__version__}) has no {name[:100]}.",
            where=str(folder / CONFIG),
            maybe="the model is newer than it, or its code lies in the folder, and is not run",
            remedy="update transformers, or write a function that builds the model: nets.py:build",
        )
    return library, kind


def _without_cache(model: Any) -> Any:
    for part in model.modules():
        if getattr(getattr(part, "config", None), "use_cache", None):
            part.config.use_cache = False
    return model


def check_memory(folder: Path) -> None:
    """Refuses weights that are larger than the memory that is free, with which the system would end the process."""
    try:
        held, free = open_checkpoint(folder).nbytes, free_memory()
    except Torch2FlowError:
        return  # transformers may read what torch2flow does not
    if held > free:
        raise UsageError(
            f"The weights are {held / 1e9:.1f} GB, and {free / 1e9:.1f} GB of memory are free.",
            where=str(folder),
            remedy="add --without-weights: the .pt2 then has none, a few layers are read at a time for the recording, "
            "and 'torch2flow convert --weights' takes them from the folder",
        )


def free_memory() -> float:
    """Bytes of memory that programs can still get; infinity where the system does not say."""
    try:
        rows = Path("/proc/meminfo").read_text().splitlines()
        return next(int(row.split()[1]) * 1024.0 for row in rows if row.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return float("inf")


def default_inputs(model: Any, folder: Path) -> list[str]:
    """Inputs as `--input` takes them, by the model's own word for its main one and its configuration.

    Raises:
        UsageError: the model's main input is none that is known.
    """
    main = str(getattr(model, "main_input_name", ""))
    make = INPUTS.get(main)
    if make is None:
        raise UsageError(
            f"There are no default inputs for {type(model).__name__}, whose main input is {main[:60]!r}.",
            where=str(folder),
            remedy=f"say them: --input '{main or 'NAME'}=float32[batch,...]'",
        )
    inputs = make(model.config)
    if "decoder_input_ids" in inspect.signature(model.forward).parameters:
        inputs.append(f"decoder_input_ids=int64[batch,target]:0..{_vocabulary(model.config)}")
    return inputs


def _vocabulary(config: Any) -> int:
    text = getattr(config, "text_config", config)
    return int(getattr(text, "vocab_size", getattr(config, "vocab_size", 2)))


def _text(config: Any) -> list[str]:
    tokens = [f"input_ids=int64[batch,seq]:0..{_vocabulary(config)}", "attention_mask=int64[batch,seq]:1"]
    return tokens + (_images(config) if hasattr(config, "vision_config") else [])


def _images(config: Any) -> list[str]:
    vision = getattr(config, "vision_config", config)
    size, channels = getattr(vision, "image_size", 224), getattr(vision, "num_channels", 3)
    height, width = (size[0], size[-1]) if isinstance(size, list | tuple) else (size, size)
    return [f"pixel_values=float32[batch,{channels},{height},{width}]"]


def _spectrogram(config: Any) -> list[str]:
    length = 2 * int(getattr(config, "max_source_positions", 1500))
    return [f"input_features=float32[batch,{getattr(config, 'num_mel_bins', 80)},{length}]"]


INPUTS: dict[str, Callable[[Any], list[str]]] = {
    "input_ids": _text,
    "pixel_values": _images,
    "input_features": _spectrogram,
    "input_values": lambda config: ["input_values=float32[batch,16000]"],
}
"""`main_input_name` of transformers' classes, and what it is called with; a second of sound at 16 kHz."""
