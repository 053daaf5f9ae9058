"""Validates manifests against the schemas of Kubernetes, strictly: validate.py FILE..

An unknown key is an error, and so is a volume, a port or a service account that is named and not there.
"""

import sys

import kubernetes_validate
import yaml

documents = 0
accounts, maps = set(), set()
pods = []
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        for document in yaml.safe_load_all(file):
            try:
                kubernetes_validate.validate(document, "1.31", strict=True)
            except kubernetes_validate.ValidationError as error:
                where = ".".join(map(str, error.path))
                sys.exit(f"{path}: {document.get('kind')} {where}: {error.message}")
            documents += 1
            name = (document["metadata"].get("namespace"), document["metadata"]["name"])
            match document["kind"]:
                case "ServiceAccount":
                    accounts.add(name)
                case "ConfigMap":
                    maps.add(name)
                case "DaemonSet":
                    pods.append((path, name[0], document["spec"]["template"]["spec"]))
                case "Pod":
                    pods.append((path, name[0], document["spec"]))
for path, namespace, spec in pods:
    account = spec.get("serviceAccountName")
    if account and (namespace, account) not in accounts:
        sys.exit(f"{path}: there is no ServiceAccount {account}")
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    for volume in spec.get("volumes", []):
        if "configMap" in volume and (namespace, volume["configMap"]["name"]) not in maps:
            sys.exit(f"{path}: there is no ConfigMap {volume['configMap']['name']}")
    for container in spec["containers"] + spec.get("initContainers", []):
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                sys.exit(f"{path}: there is no volume {mount['name']}")
if documents < 7:
    sys.exit(f"only {documents} manifests were found")
print(f"manifests: {documents} are valid")
