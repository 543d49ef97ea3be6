"""The files in `deploy/` keep the rules they state, and their commands really run that way."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]  # has no types of its own

from conftest import Lake, alive, wait_until
from lakeward.keeper import FAREWELL_SECONDS
from lakeward.server.supervisor import KILL_SECONDS
from lakeward.server.worker import GRACE_SECONDS, RING_BYTES
from lakeward.settings import MIB, SETTINGS

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
NAMES = {setting.env for setting in SETTINGS}
UID = 10001
LAKE, RINGS = Path("/var/lib/lakeward"), Path("/run/lakeward")
STOPPING = GRACE_SECONDS + KILL_SECONDS + FAREWELL_SECONDS
NEEDED = 2 * (4 * 8 * MIB + RING_BYTES)
"""Rings of four processes of an app and one worker, twice."""

needs_root = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("unshare") or not shutil.which("setpriv"),
    reason="needs root, unshare and setpriv for a mount namespace",
)


def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return content


def manifests() -> dict[str, dict[str, Any]]:
    found = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return {manifest["kind"]: manifest for manifest in found}


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = manifests()["StatefulSet"]["spec"]["template"]["spec"]
    return spec


def containers() -> list[dict[str, Any]]:
    return [*pod()["initContainers"], *pod()["containers"]]


def size(text: str) -> int:
    number, unit = re.fullmatch(r"([0-9]+)(m|Mi|g|Gi)", text).groups()  # type: ignore[union-attr]  # it matches
    return int(number) * (MIB if unit in {"m", "Mi"} else 1024 * MIB)


def unit() -> dict[str, list[str]]:
    """The unit's `[Service]` section: every value of each name."""
    section = (DEPLOY / "lakeward.service").read_text().split("[Service]")[1].split("[Install]")[0]
    values: dict[str, list[str]] = {}
    for line in section.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            values.setdefault(name, []).append(value)
    return values


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text())
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines if line.strip()]


KNOWN = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL",
         "HEALTHCHECK", "ENTRYPOINT", "CMD"}  # fmt: skip


def test_the_image_is_built_in_stages_and_runs_as_nobody_special() -> None:
    found = instructions()
    names = [name for name, _ in found]
    assert set(names) <= KNOWN
    assert names.count("FROM") == 2
    last = found[len(names) - 1 - names[::-1].index("FROM") :]
    order = [name for name, _ in last]
    assert order.index("USER") < order.index("CMD")
    assert all(name not in {"RUN", "COPY"} for name in order[order.index("USER") :])
    values = dict(last)
    assert values["USER"] == f"{UID}:{UID}"
    assert values["VOLUME"] == str(LAKE)
    assert json.loads(values["CMD"])[0] == "serve"
    assert values["STOPSIGNAL"] == "SIGTERM"


def test_every_image_has_a_version() -> None:
    images = [value.split()[0] for name, value in instructions() if name == "FROM"]
    images += [service["image"] for service in compose()["services"].values()]
    images += [container["image"] for container in containers()]
    for image in images:
        assert re.fullmatch(r"[a-z-]+:[0-9][a-z0-9.-]+", image), image


def test_what_the_image_copies_is_there_and_what_it_needs_is_copied() -> None:
    sources = [part for name, value in instructions() if name == "COPY" and "--from" not in value
               for part in value.split()[:-1]]  # fmt: skip
    assert all((ROOT / source).exists() for source in sources)
    assert {"pyproject.toml", "README.md", "LICENSE", "src"} <= set(sources)


def test_no_file_holds_a_secret_or_a_registry() -> None:
    for path in filter(Path.is_file, DEPLOY.iterdir()):
        text = path.read_text()
        assert not re.search(r"lwk_|PASSWORD|SECRET|index-url|https?://(?!127\.0\.0\.1)", text), (
            path
        )


def test_every_setting_that_a_file_names_exists() -> None:
    files = [path for path in DEPLOY.iterdir() if path.suffix != ".py" and path.is_file()]
    for path in [*files, ROOT / "docs/deploy.md"]:
        named = set(re.findall(r"\bLAKEWARD_[A-Z_]+\b", path.read_text()))
        assert named
        assert named <= NAMES, path


def test_compose_gives_both_containers_the_same_lake_and_the_same_memory() -> None:
    services = compose()["services"]
    server, app = services["lakeward"], services["app"]
    assert server["volumes"] == app["volumes"] == [f"lake:{LAKE}", f"rings:{RINGS}"]
    for name in ("LAKEWARD_LAKE_DIR", "LAKEWARD_RING_DIR"):
        assert server["environment"][name] == app["environment"][name]
    assert app["environment"]["LAKEWARD_KEEPER"] == "external"
    assert "LAKEWARD_KEEPER" not in server["environment"]
    options = compose()["volumes"]["rings"]["driver_opts"]
    assert (options["type"], options["device"]) == ("tmpfs", "tmpfs")
    asked = dict(part.split("=") for part in options["o"].split(","))
    assert size(asked["size"]) >= NEEDED
    assert (asked["uid"], asked["gid"], asked["mode"]) == (str(UID), str(UID), "0700")


def test_compose_runs_one_hardened_container_of_each_and_stops_the_app_first() -> None:
    for name, service in compose()["services"].items():
        assert service["user"] == f"{UID}:{UID}", name
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "deploy" not in service  # no replicas
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    services = compose()["services"]
    assert services["app"]["depends_on"] == {"lakeward": {"condition": "service_healthy"}}
    assert int(services["lakeward"]["stop_grace_period"].removesuffix("s")) > STOPPING


def test_kubernetes_runs_one_pod_with_both_containers_on_the_same_mounts() -> None:
    spec = manifests()["StatefulSet"]["spec"]
    assert spec["replicas"] == 1
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    server, app = containers()
    assert server["volumeMounts"] == app["volumeMounts"]
    mounts = {mount["mountPath"]: mount["name"] for mount in server["volumeMounts"]}
    assert mounts[str(LAKE)] == claim["metadata"]["name"]
    (rings,) = [v["emptyDir"] for v in pod()["volumes"] if v["name"] == mounts[str(RINGS)]]
    assert rings["medium"] == "Memory"
    assert size(rings["sizeLimit"]) >= NEEDED
    env = [{row["name"]: row["value"] for row in one["env"]} for one in (server, app)]
    for name in ("LAKEWARD_LAKE_DIR", "LAKEWARD_RING_DIR"):
        assert env[0][name] == env[1][name]
    assert env[1]["LAKEWARD_KEEPER"] == "external"
    for container in (server, app):
        assert size(container["resources"]["limits"]["memory"]) > size(rings["sizeLimit"])


def test_kubernetes_ends_the_keeper_after_the_app_and_in_time() -> None:
    (server,) = pod()["initContainers"]
    assert server["restartPolicy"] == "Always"  # a sidecar: ended after the app
    assert pod()["terminationGracePeriodSeconds"] >= 15 + STOPPING
    assert "livenessProbe" not in server
    for probe in (server["startupProbe"], server["readinessProbe"]):
        assert probe["httpGet"]["path"] == "/health"
        assert probe["httpGet"]["httpHeaders"] == [{"name": "Host", "value": "localhost"}]


def test_kubernetes_allows_no_container_more_than_it_needs() -> None:
    security = pod()["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == security["fsGroup"] == UID
    assert pod()["automountServiceAccountToken"] is False
    for container in containers():
        own = container["securityContext"]
        assert own["readOnlyRootFilesystem"] is True
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}


def test_kubernetes_service_reaches_ports_that_exist() -> None:
    service, template = manifests()["Service"], manifests()["StatefulSet"]["spec"]["template"]
    assert service["spec"]["selector"] == template["metadata"]["labels"]
    named = {port["name"] for container in containers() for port in container["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= named


def test_the_unit_writes_to_the_lake_and_the_rings_only() -> None:
    found = unit()
    assert found["ProtectSystem"] == ["strict"]
    assert found["ReadWritePaths"] == [f"{LAKE} {RINGS}"]
    assert found["RuntimeDirectory"] == [RINGS.name]
    assert found["RuntimeDirectoryMode"] == ["0700"]
    assert found["RuntimeDirectoryPreserve"] == ["yes"]  # apps go on recording over a restart
    assert found["StateDirectory"] == [LAKE.name]
    assert found["User"] != ["root"]
    assert "DynamicUser" not in found
    assert int(found["TimeoutStopSec"][0]) > STOPPING
    assert "--host 127.0.0.1" in found["ExecStart"][0]


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is missing")
    text = (DEPLOY / "lakeward.service").read_text()
    copy = tmp_path / "lakeward.service"
    copy.write_text(text.replace("/opt/lakeward/bin/lakeward", sys.executable))
    done = subprocess.run([verify, "verify", "--man=no", str(copy)], capture_output=True, text=True)
    mine = [line for line in (done.stdout + done.stderr).splitlines() if "lakeward.service" in line]
    assert mine == []


def commands() -> dict[str, tuple[list[str], dict[str, str]]]:
    """The command line and the environment of each file's server."""
    values = dict(instructions())
    image = dict(part.split("=", 1) for part in values["ENV"].split())
    found = unit()
    service = compose()["services"]["lakeward"]
    server = containers()[0]
    manifest = {row["name"]: row["value"] for row in server["env"]}
    return {
        "image": (json.loads(values["CMD"]), image),
        "compose": (service["command"], image | service["environment"]),
        "kubernetes": (server["args"], image | manifest),
        "systemd": (shlex.split(found["ExecStart"][0])[1:],
                    dict(pair.split("=", 1) for pair in found["Environment"])),
    }  # fmt: skip


CONFINED = """
set -e
mount -t tmpfs -o mode=755 none /run && mkdir -m 700 {rings} && chown {uid}:{uid} {rings}
mount -t tmpfs -o mode=755 none /var/lib && mkdir {lake} && mount --bind "$VOLUME" {lake}
mount -t tmpfs -o size=64k none /dev/shm
mount -o remount,bind,ro / && mount -o remount,ro /dev/shm && mount -o remount,ro /var/lib
cd {lake}
exec setpriv --reuid {uid} --regid {uid} --clear-groups --no-new-privs \
    --bounding-set -all,+dac_read_search --inh-caps -all,+dac_read_search \
    --ambient-caps -all,+dac_read_search "$@"
"""
"""As a container has it. Reading everything is allowed, for where the tests' Python stands."""


@contextmanager
def confined(
    lake: Lake, arguments: list[str], env: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """`lakeward` as uid 10001, with nothing to write to but the lake's volume, rings and `/tmp`."""
    volume = lake.root.parent / "volume"
    volume.mkdir(exist_ok=True)
    os.chown(volume, UID, UID)
    shell = CONFINED.format(rings=RINGS, lake=LAKE, uid=UID)
    python = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    output = lake.root.parent / "confined.log"
    with output.open("wb") as file:
        process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
             shell, "sh", sys.executable, "-m", "lakeward.cli", *arguments],
            env={**python, **env, "PATH": os.environ["PATH"], "VOLUME": str(volume)},
            stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End the namespace by its first process: `--kill-child` is lost when that changes its user."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    inside = [int(pid) for pid in children.read_text().split()] if children.exists() else []
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in inside:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(120)
            break
    process.kill()
    process.wait()
    assert not any(alive(pid) for pid in inside)


def on_a_free_port(arguments: list[str]) -> tuple[list[str], int]:
    """The same command on the loopback (beyond it a key is needed first) and a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    changed = list(arguments)
    changed[changed.index("--host") + 1] = "127.0.0.1"
    changed[changed.index("--port") + 1] = str(port)
    return changed, port


@needs_root
@pytest.mark.parametrize("file", ["image", "compose", "kubernetes", "systemd"])
def test_the_command_serves_without_root_and_with_a_read_only_root(lake: Lake, file: str) -> None:
    arguments, env = commands()[file]
    arguments, port = on_a_free_port(arguments)
    output = lake.root.parent / "confined.log"

    def healthy() -> bool:
        assert process.poll() is None, output.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health", timeout=120).status_code == 200
        except httpx.TransportError:
            return False

    with confined(lake, arguments, {k: v for k, v in env.items() if k != "PATH"}) as process:
        wait_until(healthy, what="the server's health")
        sent = {"interaction_type": "signed_up", "user_id": "u-1"}
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/interactions", json=sent, timeout=120)
        assert answer.json() == {"accepted": 1, "rejected": []}, answer.text
        volume = lake.root.parent / "volume"
        owners = {path.stat().st_uid for path in volume.rglob("*")}
        assert owners == {UID}
        check = instruction_of_health()
        assert "/health" in check[2]
        done = subprocess.run([sys.executable, *check[1:2], check[2].replace("8000", str(port))])
        assert done.returncode == 0
    (log,) = (lake.root.parent / "volume" / "data-lake").glob("raw/**/*.jsonl")
    assert [json.loads(line)["user_id"] for line in log.read_text().splitlines()] == ["u-1"]
    assert "Traceback" not in output.read_text()


def instruction_of_health() -> list[str]:
    """The image's own check: program, `-c`, code."""
    value = dict(instructions())["HEALTHCHECK"]
    found: list[str] = json.loads(value.partition("CMD ")[2])
    assert found[:2] == ["python", "-c"]
    return found


def test_the_images_check_fails_when_nothing_answers() -> None:
    code = instruction_of_health()[2]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-c", code.replace("8000", str(port))], capture_output=True
        )
    assert done.returncode == 1
    assert urllib.request.__name__ in code
