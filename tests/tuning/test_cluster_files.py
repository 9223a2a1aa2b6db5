"""The files in cluster/ against Ray's own schema and KubeRay's fields, and the commands that they tell."""

import json
import re
import shlex
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml

import tests.tuning.conftest  # noqa: F401  skips where ray is missing
from tuning import sweep

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"

# The fields of KubeRay's API ray.io/v1 that a job like this may have, from its public reference.
RAY_JOB = {
    "entrypoint", "runtimeEnvYAML", "jobId", "metadata", "submissionMode", "shutdownAfterJobFinishes",
    "ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimit", "rayClusterSpec", "clusterSelector", "suspend",
    "submitterPodTemplate", "submitterConfig", "entrypointNumCpus", "entrypointNumGpus", "entrypointResources",
}  # fmt: skip
RAY_CLUSTER = {
    "rayVersion", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec", "workerGroupSpecs", "suspend",
    "headServiceAnnotations", "gcsFaultToleranceOptions",
}  # fmt: skip
HEAD = {"rayStartParams", "template", "serviceType", "headService", "enableIngress"}
WORKERS = {
    "groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template", "numOfHosts", "suspend",
    "idleTimeoutSeconds", "scaleStrategy",
}  # fmt: skip
CONTAINER = {"name", "image", "env", "resources", "volumeMounts", "command", "args", "ports", "imagePullPolicy"}
STARTED = {"num-cpus", "num-gpus", "dashboard-host", "resources", "object-store-memory"}  # options of ray start


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((CLUSTER / name).read_text(encoding="utf-8")))


def options(command: str) -> Any:
    """What pct sweep makes of a command line; one that it does not understand ends the test."""
    words = shlex.split(command.replace("\\\n", " "))
    return sweep.parser().parse_args(words[words.index("sweep") + 1 :])


def test_the_file_for_ray_up_keeps_ray_s_own_schema():
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text(encoding="utf-8"))
    (config,) = documents("ray.yaml")
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(config, schema)
    assert config["head_node_type"] in config["available_node_types"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**config, "max_worker": 8}, schema)


def test_ray_up_installs_the_package_from_files_that_it_brings_and_lets_every_node_write_to_the_bucket():
    (config,) = documents("ray.yaml")
    (there,) = config["file_mounts"]
    assert any(f"-r {there}/requirements.lock" in command for command in config["setup_commands"])
    assert any(command.endswith(f"--no-deps {there}") for command in config["setup_commands"])
    assert all(
        "arn:aws:iam::" in node["node_config"]["IamInstanceProfile"]["Arn"]
        for node in config["available_node_types"].values()
    )
    assert config["available_node_types"]["head"]["resources"]["CPU"] == 0


def test_the_commands_in_the_files_are_understood_and_keep_the_record_where_it_outlives_the_head():
    text = (CLUSTER / "ray.yaml").read_text(encoding="utf-8")
    told = re.search(r"'(cd pct.*?)'", re.sub(r"\\\n#\s*", "", text), re.DOTALL)
    assert told is not None
    by_hand = options(told[1])
    assert by_hand.storage.startswith("s3://")
    assert (by_hand.device, by_hand.gpus) == ("cuda", 0.5)
    job, claim = documents("kuberay.yaml")
    asked = options(job["spec"]["entrypoint"])
    mount = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["volumeMounts"][0]
    assert asked.runs.startswith(mount["mountPath"])
    assert asked.storage.startswith(mount["mountPath"])
    assert asked.address == "auto"
    assert claim["kind"] == "PersistentVolumeClaim"


def unknown(part: Mapping[str, Any], known: set[str]) -> set[str]:
    return set(part) - known


def test_the_file_for_kubernetes_has_fields_that_the_operator_knows():
    job, claim = documents("kuberay.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]["rayClusterSpec"]
    head, (workers,) = spec["headGroupSpec"], spec["workerGroupSpecs"]
    assert not unknown(job["spec"], RAY_JOB)
    assert not unknown(spec, RAY_CLUSTER)
    assert not unknown(head, HEAD)
    assert not unknown(workers, WORKERS)
    for group in (head, workers):
        assert not unknown(group["rayStartParams"], STARTED)
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())  # the API wants strings
        (container,) = group["template"]["spec"]["containers"]
        assert not unknown(container, CONTAINER)
        volumes = {v["name"]: v for v in group["template"]["spec"]["volumes"]}
        assert all(m["name"] in volumes for m in container["volumeMounts"])
        assert all(v["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"] for v in volumes.values())
        assert all(isinstance(e["value"], str) for e in container["env"])
    assert "nvidia.com/gpu" not in head["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]


def test_one_version_of_ray_is_named_everywhere():
    locked = re.search(r"^ray(?:\[.*\])?==(\S+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert locked is not None
    assert documents("kuberay.yaml")[0]["spec"]["rayClusterSpec"]["rayVersion"] == locked[1]
    image = f"rayproject/ray:{locked[1]}-py311-gpu"
    assert documents("ray.yaml")[0]["docker"]["image"] == image
    assert f"FROM {image}\n" in (CLUSTER / "Dockerfile").read_text()
    assert metadata.version("ray") == locked[1]
