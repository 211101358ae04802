"""`torch2flow port` on the command line: what it says, and its exit codes."""

from __future__ import annotations

import json


def test_port_tells_what_oneflow_cannot_do_and_ends_with_4(run_cli, tmp_path) -> None:
    (tmp_path / "nets.py").write_text("import torch\n\ndef f(x):\n    return torch.linalg.eig(torch.is_tensor(x))\n")
    code, out, err = run_cli("port", tmp_path / "nets.py", "-o", tmp_path / "out.py")
    assert code == 4
    assert "torch.linalg.eig" in out and "nets.py:4" in out
    assert "2 uses: 1 the same, 0 through flow_compat, 1 OneFlow can't" in err
    assert (tmp_path / "flow_compat.py").exists() and (tmp_path / "out.py").exists()


def test_check_writes_nothing_and_json_has_every_finding(run_cli, tmp_path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/nets.py").write_text("import torch\nx = torch.compile(f)\n")
    code, out, _ = run_cli("port", tmp_path / "src", "--check", "--json")
    found = json.loads(out)
    assert code == 0 and found["uses"] == {"same": 0, "compat": 0, "dropped": 1, "cannot": 0}
    assert [(each["line"], each["kind"], each["api"]) for each in found["findings"]] == [
        (2, "changed", "torch.compile")
    ]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["nets.py", "src"]


def test_port_refuses_what_is_not_asked_rightly(run_cli, tmp_path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/nets.py").write_text("import torch\n")
    assert run_cli("port", tmp_path / "src")[0] == 2
    assert run_cli("port", tmp_path / "missing", "-o", tmp_path / "out")[0] == 3
    assert run_cli("port", tmp_path / "src", "-o", tmp_path / "src/out")[0] == 2
    assert run_cli("port", tmp_path / "src", "-o", tmp_path / "out")[0] == 0
    assert run_cli("port", tmp_path / "src", "-o", tmp_path / "out")[0] == 5
    assert run_cli("port", tmp_path / "src", "-o", tmp_path / "out", "--overwrite")[0] == 0


def test_a_users_own_substitute_is_written_into_the_module(run_cli, tmp_path) -> None:
    (tmp_path / "nets.py").write_text("import torch\nx = torch.my_operator\n")
    (tmp_path / "rules.py").write_text(
        "from torch2flow.port.compat import stands_for\n\nFACTOR = 2\n\n\n"
        '@stands_for("torch.my_operator", because="OneFlow has none.")\ndef mine(x):\n    return x * FACTOR\n'
    )
    code, _, _ = run_cli("port", tmp_path / "nets.py", "-o", tmp_path / "out.py", "--rules", tmp_path / "rules.py")
    written = (tmp_path / "flow_compat.py").read_text()
    assert code == 0 and "FACTOR = 2" in written and "# torch.my_operator: OneFlow has none.\ndef mine(x):" in written
    assert "x = flow_compat.mine" in (tmp_path / "out.py").read_text()
