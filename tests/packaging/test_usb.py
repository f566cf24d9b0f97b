"""The USB stick: `make usb` fills it and tries it; here its script runs with a wheel as small as a wheel can be."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "usb" / "install.sh"
PAGE = (ROOT / "docs" / "how-to" / "class-on-laptops.md").read_text()
VERSION = "7.7.7"


def small_wheel(folder: Path, version: str = VERSION) -> Path:
    """A package called orderkit, with a command that says its version."""
    info = f"orderkit-{version}.dist-info"
    files = {
        "orderkit.py": f"def main():\n    print('{version}')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: orderkit\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\norderkit = orderkit:main\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    path = folder / f"orderkit-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(name, text)
    return path


def test_a_laptop_installs_from_the_stick_alone_into_its_own_folder(tmp_path: Path) -> None:
    stick, index, laptop = tmp_path / "a stick", tmp_path / "index", tmp_path / "a laptop"
    for folder in (stick, index / "orderkit", laptop):
        folder.mkdir(parents=True)
    shutil.copy(SCRIPT, stick)
    small_wheel(stick)
    (stick / "orderkit-9.9.9-cp311-cp311-win_arm64.whl").write_bytes(b"for another kind of laptop")
    newer = small_wheel(index / "orderkit", "8.8.8")
    (index / "orderkit" / "index.html").write_text(f'<a href="{newer.name}">{newer.name}</a>')
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(laptop),
        "PYTHON": sys.executable,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index.as_uri(),  # pip must not look there
    }
    done = subprocess.run(["sh", stick / SCRIPT.name], cwd=laptop, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [command] = {line.split("   ")[-1].strip() for line in done.stdout.splitlines() if "check-in" in line}
    said = subprocess.run([laptop / command.split()[0]], capture_output=True, text=True)
    assert said.stdout.strip() == VERSION
    # What the stick keeps pip from: there, it would have found a newer one.
    pip = [str(laptop / ".venv" / "bin" / "python"), "-m", "pip"]
    found = subprocess.run([*pip, "download", "--no-deps", "--dest", str(laptop), "orderkit"], env=environment)
    assert found.returncode == 0
    assert (laptop / newer.name).is_file()


def test_the_page_says_what_the_stick_does() -> None:
    recipe = (ROOT / "Makefile").read_text().split("\nusb:")[1].split("\n\n")[0]
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    commands = {line.split("#")[0].strip() for block in blocks for line in block.splitlines()}
    assert {"make usb", f"sh /media/usb/{SCRIPT.name}"} <= commands
    offered = set(re.findall(r"(\.venv/bin/orderkit [\w-]+)", SCRIPT.read_text()))
    assert offered == {".venv/bin/orderkit check-in", ".venv/bin/orderkit lab"}
    assert offered <= commands
    # What is tried there is the script itself, with no other place to look.
    assert f"cp deploy/usb/{SCRIPT.name} build/usb" in recipe
    assert f'sh "$(CURDIR)/build/usb/{SCRIPT.name}"' in recipe
    assert "env -u PIP_FIND_LINKS PIP_CONFIG_FILE=/dev/null" in recipe
    assert "--no-index --find-links" in SCRIPT.read_text()
    assert "`build/usb`" in PAGE
