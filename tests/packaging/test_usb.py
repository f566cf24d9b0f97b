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


def small_wheel(folder: Path) -> None:
    """A package called orderkit, with a command that says its version."""
    info = f"orderkit-{VERSION}.dist-info"
    files = {
        "orderkit.py": f"def main():\n    print('{VERSION}')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: orderkit\nVersion: {VERSION}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\norderkit = orderkit:main\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"orderkit-{VERSION}-py3-none-any.whl", "w") as wheel:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(name, text)


def install(stick: Path, laptop: Path) -> subprocess.CompletedProcess[str]:
    """On a laptop with nothing but Python, whose pip knows no other place to look."""
    laptop.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(laptop),
        "PYTHON": sys.executable,
        "PIP_CONFIG_FILE": os.devnull,
    }
    command = ["sh", str(stick / SCRIPT.name)]
    return subprocess.run(command, cwd=laptop, env=environment, capture_output=True, text=True)


def test_a_laptop_installs_from_the_stick_alone_into_its_own_folder(tmp_path: Path) -> None:
    stick = tmp_path / "a stick"
    stick.mkdir()
    shutil.copy(SCRIPT, stick)
    refused = install(stick, tmp_path / "too early")
    assert refused.returncode != 0
    assert "No matching distribution found for orderkit" in refused.stderr
    small_wheel(stick)
    (stick / "orderkit-9.9.9-cp311-cp311-win_arm64.whl").write_bytes(b"for another kind of laptop")
    laptop = tmp_path / "a laptop"
    done = install(stick, laptop)
    assert done.returncode == 0, done.stderr
    [command] = {line.split("   ")[-1].strip() for line in done.stdout.splitlines() if "check-in" in line}
    said = subprocess.run([laptop / command.split()[0]], capture_output=True, text=True)
    assert said.stdout.strip() == VERSION


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
