"""cloud-init's own GCE data source, asked as cloud-init does at boot."""

import json

from cloudinit import helpers
from cloudinit.sources import DataSourceGCE as gce

paths = helpers.Paths({"cloud_dir": "/tmp/cloud", "run_dir": "/tmp/cloud-run"})
source = gce.DataSourceGCE({}, None, paths)
assert source._get_data(), "cloud-init found no Compute Engine"
found = {
    "instance": source.get_instance_id(),
    "zone": source.availability_zone,
    "host": source.get_hostname().hostname,
    "user-data": source.get_userdata_raw(),
}
assert found["instance"] and found["host"] and "-" in found["zone"], found
assert "#cloud-config" in str(found.pop("user-data")), "cloud-init got no user data"
print(json.dumps(found))
