"""Generates tokens in OneFlow, one at a time, with a decoder that was captured with its cache.

torch2flow capture ./llama -o step.pt2 --cache              # where PyTorch and transformers are
torch2flow convert step.pt2 -o step
python examples/generate.py step ./llama 5 17 42 --new 20   # where OneFlow is: the tokens 5, 17 and 42 are the prompt

Of a model with an encoder, which `capture ./t5 -o encoder.pt2 --part encoder` captures, the tokens are its input:

python examples/generate.py step ./t5 5 17 42 --encoder encoder
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

import oneflow as flow

LAYERS = ("num_decoder_layers", "decoder_layers", "num_hidden_layers", "n_layer")
HEADS = ("decoder_attention_heads", "num_attention_heads", "n_head", "num_heads")
SIZE = ("hidden_size", "n_embd", "d_model")


def nothing_yet(config, batch=1, dtype=flow.float32):
    """Keys and values of no tokens, by the `config.json` of the model's folder."""
    layers, heads, whole = (next(config[name] for name in names if config.get(name)) for names in (LAYERS, HEADS, SIZE))
    size = config.get("head_dim") or config.get("d_kv") or whole // heads
    empty = flow.zeros(batch, config.get("num_key_value_heads") or heads, 0, size, dtype=dtype)
    return [(empty, empty)] * layers


def generate(model, prompt, past, new=20, end=None, temperature=0.0):
    """The tokens of the prompt (int64, [batch, length]) and of what follows; greedy, or drawn at a temperature."""
    tokens, ids = [prompt], prompt
    with flow.no_grad():
        for _ in range(new):
            logits, past = model(ids, past)  # first the whole prompt, then one token each time
            last = logits[:, -1].to(flow.float32)
            if temperature:
                ids = flow.multinomial(flow.softmax(last / temperature, dim=-1), 1)
            else:
                ids = last.argmax(dim=-1, keepdim=True)
            tokens.append(ids)
            if end is not None and bool((ids == end).all()):
                break
    return flow.cat(tokens, dim=1)


def with_states(step, states):
    """The step of a decoder that attends to what an encoder made, as one of tokens, keys and values."""
    return lambda ids, past: step(ids, states, past)


def load(folder):
    """The model that `convert` wrote into a folder."""
    sys.path.insert(0, str(folder.resolve().parent))
    return importlib.import_module(folder.name).load_model()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path, help="what convert wrote")
    parser.add_argument("folder", type=Path, help="what was captured: its config.json says how large the cache is")
    parser.add_argument("tokens", type=int, nargs="+", help="the prompt, or what the encoder reads")
    parser.add_argument("--encoder", type=Path, help="the encoder, as convert wrote it")
    parser.add_argument("--new", type=int, default=20)
    parser.add_argument("--temperature", type=float, default=0.0)
    given = parser.parse_args()
    config = json.loads((given.folder / "config.json").read_text())
    model, prompt = load(given.model), flow.tensor([given.tokens])
    if given.encoder is not None:
        states = load(given.encoder)(prompt, flow.ones_like(prompt)).last_hidden_state
        model, prompt = with_states(model, states), flow.tensor([[config["decoder_start_token_id"]]])
    found = generate(model, prompt, nothing_yet(config), given.new, temperature=given.temperature)
    print(*found[0].tolist())
