"""Manifests, indices, plans that were edited by hand: a sentence that names the field, or the work done."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from torch2flow.checkpoints.names.templates import Keys, Template
from torch2flow.errors import FormatError

from .command_line import chosen, report, run_here
from .mutations import mutations

Outputs = dict[str, tuple[Path, Path, list[list[str]]]]


@pytest.fixture
def outputs(tmp_path: Path, fixtures: Path) -> Outputs:
    """Outputs by kind: the output, its manifest, and the commands that read it."""
    source = tmp_path / "net.safetensors"
    shutil.copy(fixtures / "torch-2.13.0" / "net.safetensors", source)
    made: dict[str, list[str]] = {
        "renamed": ["convert", str(source), "--rename", "^conv=stem", "--exclude", "bn2", "--dtype", "float16"],
        "cut": ["convert", str(source), "--plan", "data", "--ranks", "2"],
        "twin": ["zoo", "convert", "vit_b_16", "--weights", str(source), "--no-check"],
        "file.safetensors": ["convert", str(source)],
        "snapshot": ["convert", str(source), "--format", "snapshot"],
    }
    found = {}
    for name, arguments in made.items():
        out = tmp_path / name
        ran = run_here(*arguments, "-o", out, "-q", "--hash")
        assert ran.code == 0, ran
        manifest = out / "manifest.json" if (out / "manifest.json").exists() else tmp_path / f"{name}.manifest.json"
        commands = [["check", str(out)], ["check", str(out), "--against", str(source)], ["inspect", str(out)]]
        commands += [["diff", str(out), str(source), "-q"], ["verify", str(out), "--reference", str(source)]]
        found[name] = out, manifest, commands
    (tmp_path / "twin" / "model.py").touch()
    return found


def test_every_field_of_a_manifest(outputs: Outputs) -> None:
    cases = []
    for name, (_, path, commands) in outputs.items():
        sound = json.loads(path.read_bytes())
        for command in commands:
            assert not run_here(*command).fault
        cases += [(name, value, command) for _, value in mutations(sound) for command in commands]
    runs = []
    for name, value, command in chosen(cases, 700):
        path = outputs[name][1]
        before = path.read_bytes()
        path.write_bytes(json.dumps(value).encode())
        runs.append(run_here(*command))
        path.write_bytes(before)
    report("manifests edited by hand, five formats and five commands", runs)


def test_the_error_names_the_field(outputs: Outputs) -> None:
    out, path, _ = outputs["renamed"]
    manifest = json.loads(path.read_bytes())
    manifest["tensors"][1]["shape"] = ["x"]
    path.write_text(json.dumps(manifest))
    ran = run_here("check", out)
    assert ran.code == 3 and "tensors[1].shape[0] should be a whole number, and is 'x'" in ran.errors
    assert str(path) in ran.errors


def test_no_pattern_of_a_manifest_is_run(outputs: Outputs) -> None:
    """A manifest's rename rules and templates are data: names are taken from its rows."""
    out, path, commands = outputs["renamed"]
    manifest = json.loads(path.read_bytes())
    manifest["options"] |= {"rename": [["(a+)+$!", "x"]], "include": ["(a+)+$!"], "exclude": ["(.*)*x"]}
    path.write_text(json.dumps(manifest))
    assert run_here(*commands[1]).code == 0
    manifest["tensors"][0]["name"] = "somebody.else"
    path.write_text(json.dumps(manifest))
    assert run_here(*commands[1]).code == 1


@pytest.mark.parametrize(
    "text", ["{rest}" * 9, "{rest}x", "{name}{name}", "{i}{j}", "{i}0", "{name}x", "{name}.{rest}.{rest}", "{0*i}"]
)
def test_a_template_that_could_end_in_two_places_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"in '"):
        Template(text)
    with pytest.raises(FormatError):
        Keys.from_json({"rules": [[text, text]], "flow_only": []}, "manifest.json")


def test_a_template_costs_the_length_of_the_name() -> None:
    template = Template(".".join("{" + chr(97 + n) + "}" for n in range(8)) + ".{name}.{rest}")
    for name in ("1." * 50_000, "a" * 100_000, "1" * 100_000, ".".join("1" * 9) + "." + "a" * 100_000 + "\n.x"):
        started = time.monotonic()
        template.match(name)
        assert time.monotonic() - started < 0.5


def sharded(folder: Path, fixtures: Path) -> tuple[Path, list[str]]:
    source = shutil.copytree(fixtures / "torch-2.13.0" / "sharded_safetensors", folder / "sharded")
    return source / "model.safetensors.index.json", ["inspect", str(source), "--json"]


def configured(folder: Path, fixtures: Path) -> tuple[Path, list[str]]:
    shutil.copy(fixtures / "torch-2.13.0" / "net.safetensors", folder / "net.safetensors")
    path = folder / "config.json"
    path.write_text(json.dumps({"n_head": 4, "num_heads": [1, 2], "layers": {"a": [1]}}))
    return path, ["libai", "gpt2", str(folder / "net.safetensors"), "-o", str(folder / "out")]


@pytest.mark.parametrize("make", [sharded, configured])
def test_every_field_of_other_files(
    make: Callable[[Path, Path], tuple[Path, list[str]]], tmp_path: Path, fixtures: Path
) -> None:
    path, command = make(tmp_path, fixtures)
    cases, runs = list(mutations(json.loads(path.read_bytes()))), []
    for _, value in chosen(cases, 150):
        path.write_bytes(json.dumps(value).encode())
        ran = run_here(*command)
        runs.append(ran)
        if ran.code == 0 and "--json" in command:
            json.loads(ran.output, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    report(f"{path.name} edited by hand", runs)


def toml(value: object) -> str:
    """A value as TOML, also one that TOML does not have."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")


def test_every_field_of_a_plan(tmp_path: Path, fixtures: Path) -> None:
    plan = {
        "preset": ["llama"], "mesh": {"data": 2, "pipeline": 2}, "stages": [["conv*"], ["*"]],
        "split": {"*.{q,k}.weight": {"data": 0}, "*": {"data": "auto"}},
    }  # fmt: skip
    path, source = tmp_path / "plan.toml", fixtures / "torch-2.13.0" / "net.safetensors"
    cases = ["\n".join(f"{key} = {toml(item)}" for key, item in value.items()) for _, value in mutations(plan)]
    head = "[mesh]\na = 2\n[split]\n"
    made = [f'{head}"{"{a,b}" * 24}" = {{}}', f'{head}"{"{a," * 500}" = {{}}', f'{head}"{"*a" * 5000}" = {{}}']
    made += ["a = " + "[" * 50_000, "[mesh]\na = " + "9" * 5000, f'{head}"[z-a]" = {{}}\n"[" = {{}}']
    runs = []
    for text in chosen(cases, 200) + made:
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        runs.append(run_here("plan", source, path, "--json"))
    report("plans edited by hand", runs)
