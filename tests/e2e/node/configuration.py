"""What the parts of the node are told in files: one machine, two networks of 254 addresses, and no way out to the internet."""

import json
from pathlib import Path

NAME = "rolevend-node"
HOST_NAME = "host.internal"
GATEWAY = "10.244.0.1"
"""The node itself; pods have the rest of its network."""
PODS = "10.244.0.0/24"
SERVICES = "10.96.0.0/24"


def service_address(number: int) -> str:
    return f"10.96.0.{number}"


def write_configuration(run: Path) -> None:
    """For init.sh, into the node's folder."""
    (run / "cni").mkdir()
    (run / "cni" / "10-pods.conflist").write_text(json.dumps(_PODS_NETWORK))
    (run / "containerd.toml").write_text(_CONTAINERD.format(run=run))
    (run / "kubelet.json").write_text(json.dumps(_kubelet(run)))
    (run / "resolv.conf").write_text(f"nameserver {GATEWAY}\n")
    (run / "Corefile").write_text(_COREFILE.format(run=run))


_PODS_NETWORK = {
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "hairpinMode": True,
            "ipam": {"type": "host-local", "dataDir": "/run/ipam", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}

_CONTAINERD = """
version = 2
root = "{run}/containerd"
state = "/run/containerd"
[grpc]
address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "node.internal/pause:1"
disable_apparmor = true
# A lower score needs CAP_SYS_RESOURCE, which even root may lack.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{run}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""

_COREFILE = f"""
.:53 {{{{
  bind {GATEWAY}
  errors
  hosts {{{{
    {GATEWAY} {HOST_NAME}
    fallthrough
  }}}}
  kubernetes cluster.local {{{{
    kubeconfig {{run}}/admin.kubeconfig admin
  }}}}
  cache 5
}}}}
"""


def _kubelet(run: Path) -> dict[str, object]:
    pki = run / "pki"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": GATEWAY,
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": f"{pki}/ca.crt"}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{pki}/kubelet.crt",
        "tlsPrivateKeyFile": f"{pki}/kubelet.key",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{NAME}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "volumePluginDir": f"{run}/volumeplugins",
        "clusterDNS": [GATEWAY],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{run}/resolv.conf",
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }
