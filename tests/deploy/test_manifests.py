"""compose.yaml and kubernetes.yaml agree with the Dockerfile, the configuration, and each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.config import Config, load_config
from bridge.plugins import Plugins
from bridge.web import application

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
REPLICAS = ROOT / "deploy" / "replicas.toml"
EXAMPLE_ENV = ROOT / "deploy" / "compose" / "example.env"


def compose() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


def manifests() -> dict[tuple[str, str], Any]:
    """Every object, by kind and name."""
    documents = yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text())
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


def pod(kind: str, name: str) -> Any:
    return manifests()[kind, name]["spec"]["template"]["spec"]


def environment() -> dict[str, str]:
    """Every variable of example.env, filled in."""
    names = re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE_ENV.read_text(), re.MULTILINE)
    return {name: value or "0123456789abcdef" for name, value in names}


def variables(text: str) -> set[str]:
    """What a configuration takes from the environment."""
    return set(re.findall(r"\$\{([A-Z_]+)\}", text))


@pytest.fixture
def config() -> Config:
    return load_config(REPLICAS, Plugins.load().types, environment())


class TestTheConfiguration:
    def test_it_can_be_read_with_what_example_env_names(self, config):
        assert config.store.url == "postgresql://bridge:0123456789abcdef@database/bridge"
        assert variables(REPLICAS.read_text()) == set(environment())

    def test_it_is_the_same_on_kubernetes(self):
        there = manifests()["ConfigMap", "tracker-bridge"]["data"]["config.toml"]

        assert tomllib.loads(there) == tomllib.loads(REPLICAS.read_text())

    def test_its_files_are_where_the_image_lets_the_daemon_write(self, config):
        (volume,) = re.findall(r"^VOLUME (\S+)$", DOCKERFILE, re.MULTILINE)
        mounted = {
            each["mountPath"] for each in pod("Deployment", "tracker-bridge")["containers"][0]["volumeMounts"]
        }

        assert config.attachments.spool.is_relative_to(volume)
        assert volume in mounted

    def test_the_daemon_listens_where_the_image_says(self, config):
        assert f"EXPOSE {config.server.port}\n" in DOCKERFILE
        assert config.server.host == "0.0.0.0"


class TestCompose:
    def test_two_daemons_of_this_image_on_one_database(self, config):
        services = compose()

        assert (services["bridge"]["build"], services["bridge"]["deploy"]["replicas"]) == (".", 2)
        assert "@database/" in config.store.url
        assert services["bridge"]["depends_on"]["database"]["condition"] == "service_healthy"
        assert {"healthcheck", "volumes"} <= set(services["database"])

    def test_the_daemon_gets_every_variable_and_none_that_nobody_reads(self):
        given = set(compose()["bridge"]["environment"])

        assert given == {"TRACKER_BRIDGE_CONFIG", *variables(REPLICAS.read_text())}

    def test_the_database_is_the_one_of_the_address(self, config):
        database = compose()["database"]["environment"]

        assert f"postgresql://{database['POSTGRES_USER']}:" in config.store.url
        assert config.store.url.endswith(f"@database/{database['POSTGRES_DB']}")

    def test_what_is_mounted_is_there(self):
        for service in compose().values():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                assert not source.startswith(".") or (ROOT / source).is_file(), volume

    def test_the_configuration_is_where_the_daemon_looks(self):
        bridge = compose()["bridge"]

        assert any(
            volume == f"./deploy/replicas.toml:{bridge['environment']['TRACKER_BRIDGE_CONFIG']}:ro"
            for volume in bridge["volumes"]
        )

    def test_one_address_in_front_of_the_daemons_port(self, config):
        nginx = (ROOT / "deploy" / "compose" / "nginx.conf").read_text()

        assert f"server bridge:{config.server.port} resolve" in nginx
        assert compose()["front"]["ports"] == ["8080:8080"]
        assert "listen 8080;" in nginx
        assert not any("ports" in compose()[name] for name in ("bridge", "database")), "nobody gets past the front"

    def test_the_front_asks_the_next_one_where_one_cannot_store(self):
        nginx = (ROOT / "deploy" / "compose" / "nginx.conf").read_text()

        assert "proxy_next_upstream error timeout http_503 non_idempotent;" in nginx

    def test_its_health_is_asked_as_the_image_says(self):
        asked = compose()["bridge"]["healthcheck"]["test"]

        assert asked[0] == "CMD"
        assert all(word in DOCKERFILE for word in asked[1:])

    def test_it_has_time_to_end(self, config):
        assert compose()["bridge"]["stop_grace_period"] == "45s"
        assert config.server.shutdown_grace.total_seconds() + 10 <= 45


class TestKubernetes:
    def test_two_daemons_under_the_user_of_the_image(self):
        spec = manifests()["Deployment", "tracker-bridge"]["spec"]

        assert spec["replicas"] == 2
        assert f"--uid {pod('Deployment', 'tracker-bridge')['securityContext']['runAsUser']} " in DOCKERFILE
        assert spec["template"]["spec"]["containers"][0]["image"] == compose()["bridge"]["image"]

    def test_every_selector_finds_its_pods(self):
        objects = manifests()
        labels = [
            each["spec"]["template"]["metadata"]["labels"]
            for each in objects.values()
            if "template" in each.get("spec", {})
        ]
        for (kind, name), each in objects.items():
            spec = each.get("spec", {})
            selector = spec.get("selector")
            if selector is not None:
                assert selector.get("matchLabels", selector) in labels, (kind, name)

    def test_the_probes_ask_what_the_daemon_answers(self, config):
        (container,) = pod("Deployment", "tracker-bridge")["containers"]
        served = Path(application.__file__).read_text()

        assert container["ports"] == [{"name": "http", "containerPort": config.server.port}]
        for probe, path in {
            "startupProbe": "/healthz", "readinessProbe": "/readyz", "livenessProbe": "/healthz",
        }.items():  # fmt: skip
            assert container[probe]["httpGet"] == {"path": path, "port": "http"}
            assert f'Route("{path}"' in served

    def test_it_has_time_to_end(self, config):
        spec = pod("Deployment", "tracker-bridge")
        before = int(spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])

        assert before + config.server.shutdown_grace.total_seconds() + 10 <= spec["terminationGracePeriodSeconds"]

    def test_the_volumes_and_the_configuration_are_where_they_are_mounted(self):
        spec = pod("Deployment", "tracker-bridge")
        (container,) = spec["containers"]
        mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
        (where,) = [each["value"] for each in container["env"] if each["name"] == "TRACKER_BRIDGE_CONFIG"]

        assert set(mounts) == {volume["name"] for volume in spec["volumes"]}
        assert where == f"{mounts['config']}/config.toml"
        assert "config.toml" in manifests()["ConfigMap", "tracker-bridge"]["data"]

    def test_the_address_leads_to_the_daemons(self):
        objects = manifests()
        (rule,) = objects["Ingress", "tracker-bridge"]["spec"]["rules"]
        (path,) = rule["http"]["paths"]
        service = objects["Service", path["backend"]["service"]["name"]]

        assert path["backend"]["service"]["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
        assert service["spec"]["selector"] == {"app": "tracker-bridge"}

    def test_the_database_is_the_one_of_the_address(self, config):
        (container,) = pod("StatefulSet", "database")["containers"]
        given = {each["name"]: each.get("value") for each in container["env"]}

        assert ("Service", "database") in manifests()
        assert config.store.url.endswith(f"@database/{given['POSTGRES_DB']}")
        assert f"postgresql://{given['POSTGRES_USER']}:" in config.store.url
        (password,) = [each for each in container["env"] if each["name"] == "POSTGRES_PASSWORD"]
        key = password["valueFrom"]["secretKeyRef"]
        assert key == {"name": "tracker-bridge", "key": "DB_PASSWORD"}
        assert key["key"] in environment()

    def test_both_use_the_same_database(self):
        assert pod("StatefulSet", "database")["containers"][0]["image"] == compose()["database"]["image"]
