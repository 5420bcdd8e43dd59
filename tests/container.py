"""Build the container and use it as docs/deployment.md says: ``python -m tests.container``.

As root, with Debian's ``podman``, ``buildah`` and ``debootstrap``. Where the base image of ``deploy/Containerfile``
cannot be fetched, ``--bootstrap`` makes one of Debian's packages first. Flags that a machine needs go in
``PODMAN_FLAGS`` (of the program, such as ``--runtime runc``) and ``PODMAN_RUN_FLAGS`` (of what it runs).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMAGE, BASE, NAME = "localhost/dermquery-tried", "localhost/debian-python", "dermquery-tried"
_ADDRESS = "127.0.0.1:8420"
_START_S = 90


def run(*command: str | Path, text: str | None = None) -> str:
    """What ``command`` writes; ends this program with its words where it fails."""
    sys.stderr.write(f"$ {shlex.join(map(str, command))}\n")
    done = subprocess.run(list(map(str, command)), input=text, text=True, capture_output=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def podman(*arguments: str | Path, text: str | None = None) -> str:
    return run("podman", *shlex.split(os.environ.get("PODMAN_FLAGS", "")), *arguments, text=text)


def inside(*arguments: str | Path, text: str | None = None) -> str:
    """A new container of the image, with the two volumes of the service."""
    flags = shlex.split(os.environ.get("PODMAN_RUN_FLAGS", ""))
    return podman("run", *flags, "-v", f"{NAME}:/var/lib/dermquery/state", *arguments, text=text)


def bootstrap(folder: Path) -> None:
    """Debian with Python as ``BASE``. It trusts whom this machine trusts, which may have an authority of its own."""
    root = folder / "debian"
    packages = "python3,python3-venv,ca-certificates,adduser"
    run("debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", root)
    bundle = Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")
    trusted = root / "etc/ssl/certs/ca-certificates.crt"
    trusted.write_bytes(bundle.read_bytes())
    (root / "etc/pip.conf").write_text("[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n")
    archive = folder / "debian.tar"
    run("tar", "-C", root, "-cf", archive, ".")
    podman("import", archive, BASE)


def build(base: str | None) -> None:
    wanted = ["--build-arg", f"BASE={base}"] if base else []
    ignore = ROOT / "deploy/Containerfile.dockerignore"
    isolation = ["--isolation", "chroot", "--network", "host", "--format", "docker"]
    podman("build", *isolation, "-f", ROOT / "deploy/Containerfile", "--ignorefile", ignore, *wanted, "-t", IMAGE, ROOT)


def ready() -> float:
    """Seconds until the service says that it is ready for searches."""
    started = time.monotonic()
    while (seconds := time.monotonic() - started) < _START_S:
        with suppress(OSError), urllib.request.urlopen(f"http://{_ADDRESS}/readyz", timeout=4):
            return seconds
        time.sleep(1)
    raise SystemExit(f"not ready after {_START_S} s:\n{podman('logs', NAME)}")


def serve(folder: Path) -> dict[str, object]:
    """A person, the service on a read-only root, its health, a search in it."""
    run(sys.executable, "-m", "dermquery", "demo", "--out", folder / "demo")
    inside("--rm", "-i", IMAGE, "users", "add", "ann", "--scope", "write", text="correct horse battery 9\n" * 2)
    locked = ["--read-only", "--tmpfs", "/tmp", "--cap-drop=all", "--security-opt=no-new-privileges"]  # noqa: S108
    base = f"{folder}/demo/base:/var/lib/dermquery/base:U"
    inside("-d", "--name", NAME, *locked, "-p", f"{_ADDRESS}:8420", "-v", base, IMAGE)
    seconds = ready()
    podman("healthcheck", "run", NAME)
    search = ["dermquery", "search", "--base", "/var/lib/dermquery/base", "--text", "irregular streaks", "--json", "-"]
    hits = json.loads(podman("exec", NAME, *search))["hits"]
    user = podman("exec", NAME, "id", "-u").strip()
    return {"seconds to ready": round(seconds, 1), "healthy": True, "user": user, "hits": len(hits)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", action="store_true", help="make the base image of Debian's packages")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.bootstrap:
            bootstrap(folder)
        build(BASE if arguments.bootstrap else None)
        try:
            sys.stdout.write(json.dumps(serve(folder), indent=1) + "\n")
        finally:
            podman("rm", "--force", "--ignore", NAME)
            podman("volume", "rm", "--force", NAME)


if __name__ == "__main__":
    main()
