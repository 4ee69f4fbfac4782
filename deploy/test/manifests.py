"""Checks deploy/kubernetes without a cluster: manifests.py PROGRAM

* Every document against the schemas of two versions of Kubernetes, strictly: unknown fields are errors.
* The container as the kubelet would prepare it: its volumes are laid out in a directory (Secrets with invented values),
  its variables are set and nothing else, and its own arguments are given to `dbintel validate`. A warning is a failure.
* What the comments in the manifests promise, where a well-meant change could break it.

Each manifest is checked as it is and with all its options (`#ca#`, `#metrics#`) switched on. Then copies are broken on
purpose, and each check must find its fault.
"""

import contextlib
import pathlib
import re
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).resolve().parent
MANIFESTS = HERE.parent / "kubernetes"
SOURCES = HERE.parent.parent / "crates/dbintel/src"
# The first version with native sidecars on by default, and the newest whose schemas we have.
KUBERNETES_VERSIONS = ("1.29", "1.37")
# The shutdown deadline of dbintel, 20 s, and two farewells of 2 s: crates/dbintel/src/run.rs.
SHUTDOWN_SECONDS = 24
OPTION = re.compile(r"#(?:ca|metrics)# ")
PROGRAM_TIMEOUT_SECONDS = 10


class Fault(Exception):
    """Something is wrong with a manifest."""


def require(condition, message):
    if not condition:
        raise Fault(message)


# What a faulty copy is made of: file, text, replacement, and what the fault must say.
FAULTS = [
    ("deployment.yaml", "replicas: 1", 'replicas: "one"', "'one' is not of type 'integer'"),
    ("deployment.yaml", "readOnlyRootFilesystem:", "readOnlyRootFileSystem:", "readOnlyRootFileSystem"),
    ("deployment.yaml", "timeout: 3s", "time_out: 3s", "time_out: unknown key; did you mean `timeout`?"),
    ("deployment.yaml", "path: stock}", "path: stocks}", "secrets/stock"),
    ("deployment.yaml", "/dbintel, health, ready]", "/dbintel, health, fine]", "not a command of dbintel"),
    ("deployment.yaml", "type: Recreate", "type: RollingUpdate", "two collectors"),
    ("deployment.yaml", "name: K8S_POD_UID", "name: K8S_POD_ID", "K8S_POD_ID"),
    ("deployment.yaml", "name: DBINTEL_METRICS_HOST", "name: DBINTEL_METRICS_HOSTS", "DBINTEL_METRICS_HOSTS"),
    ("deployment.yaml", "drop: [ALL]", "drop: [NET_RAW]", "capabilities"),
    ("sidecar.yaml", "livenessProbe:", "readinessProbe:", "readinessProbe"),
    ("sidecar.yaml", "livenessProbe:", "startupProbe:", "startupProbe"),
    ("sidecar.yaml", "restartPolicy: Always", "", "restartPolicy"),
    ("sidecar.yaml", "PeriodSeconds: 60", "PeriodSeconds: 20", "terminationGracePeriodSeconds"),
    ("sidecar.yaml", "mountPath: /etc/dbintel/secrets", "mountPath: /etc/dbintel/secret", "secrets/password"),
    ("sidecar.yaml", "${file:/etc/dbintel/secrets/password}", "hunter2", "a secret is written inline"),
    ("sidecar.yaml", "mountPath: /var/lib/dbintel", "mountPath: /var/lib/dbintels", "nothing writable is mounted there"),
    ("deployment.yaml", "store: {path: /var/lib/", "store: {path: /srv/", "nothing writable is mounted there"),
    ("sidecar.yaml", "mountPath: /etc/dbintel/ca", "mountPath: /etc/dbintel/cas", "ca/ca.crt"),
]


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    for path in sorted(MANIFESTS.glob("*.yaml")):
        text = path.read_text()
        for what, variant in (("as it is", text), ("with its options", OPTION.sub("", text))):
            try:
                check(program, variant)
            except Fault as fault:
                sys.exit(f"deploy test: {path.name}, {what}: {fault}")
    for fault in FAULTS:
        check_finds(program, *fault)
    print(f"deploy test: manifests: ok, and {len(FAULTS)} faulty copies were found out", file=sys.stderr)


def check_finds(program, name, text, replacement, expected):
    good = OPTION.sub("", (MANIFESTS / name).read_text())
    if good.count(text) < 1:
        sys.exit(f"deploy test: {name} has no `{text}` any more: adapt FAULTS in {__file__}")
    try:
        check(program, good.replace(text, replacement, 1))
    except Fault as fault:
        if expected not in str(fault):
            sys.exit(f"deploy test: {name} with `{replacement}`: expected `{expected}` in the fault, got: {fault}")
    else:
        sys.exit(f"deploy test: {name} with `{replacement}` instead of `{text}` was not found out")


def check(program, text):
    documents = [document for document in yaml.safe_load_all(text) if document]
    check_schemas(documents)
    pods = [document for document in documents if document["kind"] == "Deployment"]
    require(len(pods) == 1, "expected one Deployment")
    deployment = pods[0]["spec"]
    pod = deployment["template"]["spec"]
    container, is_sidecar = find_container(pod)
    check_promises(deployment, pod, container, is_sidecar)
    with tempfile.TemporaryDirectory(prefix="dbintel-deploy-") as root:
        check_container(program, documents, pod, container, pathlib.Path(root))


def check_schemas(documents):
    for document in documents:
        what = f"{document['kind']}/{document['metadata']['name']}"
        for version in KUBERNETES_VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                path = ".".join(str(part) for part in error.absolute_path)
                raise Fault(f"{what} for Kubernetes {version}: {path}: {error.message}") from error
            except kubernetes_validate.SchemaNotFoundError as error:
                raise Fault(f"{what}: {error.message}") from error


def find_container(pod):
    sidecars = pod.get("initContainers", [])
    if sidecars and sidecars[-1]["name"] == "dbintel":
        return sidecars[-1], True
    for container in pod["containers"]:
        if container["name"] == "dbintel":
            return container, False
    raise Fault("no container called dbintel among the containers, or last of the init containers")


def check_promises(deployment, pod, container, is_sidecar):
    if is_sidecar:
        require(container.get("restartPolicy") == "Always", "a sidecar needs restartPolicy: Always")
        for key in ("startupProbe", "readinessProbe", "lifecycle"):
            require(key not in container, f"{key} of a sidecar holds the application back")
    else:
        is_alone = deployment["replicas"] == 1 and deployment["strategy"]["type"] == "Recreate"
        require(is_alone, "two collectors would run at once: expected replicas: 1 and strategy Recreate")
        require(pod.get("automountServiceAccountToken") is False, "the Pod gets a token it does not need")
    grace = pod.get("terminationGracePeriodSeconds", 0)
    require(grace >= SHUTDOWN_SECONDS, f"terminationGracePeriodSeconds: {grace} is less than {SHUTDOWN_SECONDS}")
    security = {**pod.get("securityContext", {}), **container["securityContext"]}
    expected = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for key, value in expected.items():
        require(security.get(key) == value, f"securityContext.{key}: expected {value}, found {security.get(key)}")
    for kind in ("requests", "limits"):
        require({"cpu", "memory"} <= container["resources"][kind].keys(), f"resources.{kind}: cpu and memory are needed")


def check_container(program, documents, pod, container, root):
    """Prepares the container as the kubelet would, and asks the program."""
    lay_out_volumes(documents, pod, container, root)
    check_store(container, root)
    paths = re.compile(r"/etc/dbintel/[\w./-]+")
    lines = [line for path in root.rglob("*.yaml") for line in path.read_text().splitlines()]
    configuration = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    for path in paths.findall("\n".join([configuration, *container["args"]])):
        require((root / path.lstrip("/")).is_file(), f"{path} is named, and nothing is mounted there")
    for path in root.rglob("*.yaml"):
        path.write_text(paths.sub(lambda found: f"{root}{found.group()}", path.read_text()))

    variables = {variable["name"]: variable.get("value", "invented") for variable in container.get("env", [])}
    known = configuration + "".join(path.read_text() for path in SOURCES.rglob("*.rs"))
    for name in variables:
        require(re.search(rf"\b{name}\b", known), f"the variable {name} is used neither by the configuration nor by dbintel")
    require(container["args"][0] == "run", "expected `run` as the first argument")
    arguments = [paths.sub(lambda found: f"{root}{found.group()}", argument) for argument in container["args"][1:]]
    result = run([program, "validate", *arguments], variables)
    complaints = result.stderr.replace(str(root), "")
    require(result.returncode == 0 and not complaints, f"dbintel validate: {complaints}")

    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if probe in container:
            command = container[probe]["exec"]["command"]
            require(command[0] == "/dbintel", f"{probe}: the image has no {command[0]}")
            # Nobody answers here, which is exit code 1. Exit code 2 is a command line that is not understood. Port 1 is
            # nobody's, and a collector that happens to run on this machine is not asked.
            result = run([program, *command[1:], "--endpoint", "127.0.0.1:1"], {})
            require(result.returncode == 1, f"{probe}: {command} is not a command of dbintel: {result.stderr}")


def check_store(container, root):
    """The root file system is read-only: the store needs a volume."""
    writable = [mount["mountPath"] for mount in container.get("volumeMounts", []) if not mount.get("readOnly")]
    for path in root.rglob("*.yaml"):
        store = (yaml.safe_load(path.read_text()).get("extensions") or {}).get("store")
        require(store, "there is no store: a restart would begin the week anew")
        directory = str(pathlib.PurePosixPath(store["path"]).parent)
        require(directory in writable, f"{store['path']}: nothing writable is mounted there")


def lay_out_volumes(documents, pod, container, root):
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    maps = {document["metadata"]["name"]: document["data"] for document in documents if document["kind"] == "ConfigMap"}
    for mount in container.get("volumeMounts", []):
        require(mount["name"] in volumes, f"there is no volume {mount['name']}")
        volume = volumes[mount["name"]]
        is_scratch = "sizeLimit" in volume.get("emptyDir", {})
        require(mount.get("readOnly") is True or is_scratch, f"{mount['mountPath']} is writable")
        source = volume.get("configMap") or volume.get("secret") or {}
        files = maps.get(source.get("name"))
        if files is None:
            # A Secret, or a ConfigMap of somebody else: only the keys it must have are known.
            files = {item["path"]: "invented" for item in source.get("items", [])}
        directory = root / mount["mountPath"].lstrip("/")
        directory.mkdir(parents=True)
        for name, content in files.items():
            (directory / name).write_text(content)


def run(command, variables):
    with contextlib.suppress(subprocess.TimeoutExpired):
        return subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_SECONDS, check=False
        )
    raise Fault(f"{command} did not end within {PROGRAM_TIMEOUT_SECONDS} s")


if __name__ == "__main__":
    main()
