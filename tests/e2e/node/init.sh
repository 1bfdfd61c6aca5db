#!/usr/bin/env bash
# Process 1 of the node, in mount, net, pid, uts and ipc namespaces of its own: when it ends, all of the node ends, and its mounts
# and links with it. Started by node.py, which wrote what is read here: RUN (folder), NODE (name), API_PORT, EXPOSED (ports of the
# host that pods may reach), GATEWAY (address of the node), PODS and SERVICES (networks).
set -uo pipefail

say() { printf '%s %s\n' "$(date +%T)" "$*"; }

mounts() {
  mount --make-rshared /
  mount -t tmpfs tmpfs /run && mkdir -p /run/lock /run/netns
  local folder
  for folder in /var/log /var/lib/kubelet /var/lib/cni; do
    mkdir -p "$RUN$folder" && mount --bind "$RUN$folder" "$folder"
  done
  # kubelet sets these, and would set them for the whole machine: it gets files of its own to write to.
  for folder in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
    cat "/proc/sys/$folder" >"$RUN/sysctl.${folder//\//.}" && mount --bind "$RUN/sysctl.${folder//\//.}" "/proc/sys/$folder"
  done
}

network() {
  hostname "$NODE"
  ip link set lo up
  # A bridge is up only while something is plugged in: keep0 is.
  ip link add cni0 address 02:00:00:00:00:01 type bridge && ip addr add "$GATEWAY/24" dev cni0
  ip link add keep0 type veth peer name keep1
  ip link set keep0 master cni0 up && ip link set keep1 up && ip link set cni0 up
  ip route add "$SERVICES" dev cni0
  echo 1 >/proc/sys/net/ipv4/ip_forward
}

# What ends is started again, as systemd would.
run() {
  local name=$1
  shift
  while :; do
    "$@"
    echo "$name ended with $?"
    sleep 1
  done >"$RUN/log/$name.log" 2>&1 &
}

parts() {
  local pki=$RUN/pki port
  run containerd containerd -c "$RUN/containerd.toml"
  run etcd etcd --data-dir "$RUN/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
  run kube-apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 \
    --bind-address 0.0.0.0 --advertise-address "$GATEWAY" --secure-port "$API_PORT" --service-cluster-ip-range "$SERVICES" \
    --tls-cert-file "$pki/kube-apiserver.crt" --tls-private-key-file "$pki/kube-apiserver.key" --client-ca-file "$pki/ca.crt" \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --kubelet-client-certificate "$pki/kube-apiserver.crt" --kubelet-client-key "$pki/kube-apiserver.key" \
    --kubelet-certificate-authority "$pki/ca.crt" --kubelet-preferred-address-types InternalIP \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$pki/service-accounts.key" --service-account-signing-key-file "$pki/service-accounts.key"
  run api socat "UNIX-LISTEN:$RUN/api.sock,fork,unlink-early" "TCP:127.0.0.1:$API_PORT"
  for port in $EXPOSED; do
    run "exposed-$port" socat "TCP-LISTEN:$port,bind=$GATEWAY,reuseaddr,fork" "UNIX-CONNECT:$RUN/exposed-$port.sock"
  done
  until kubectl --kubeconfig "$RUN/admin.kubeconfig" get --raw /readyz >/dev/null 2>&1; do sleep .2; done
  until ctr -n k8s.io images import "$PAUSE" >/dev/null 2>&1; do sleep .2; done
  run kube-controller-manager kube-controller-manager --kubeconfig "$pki/kube-controller-manager.kubeconfig" \
    --use-service-account-credentials --service-account-private-key-file "$pki/service-accounts.key" --root-ca-file "$pki/ca.crt" \
    --leader-elect=false --bind-address 127.0.0.1
  run kube-scheduler kube-scheduler --kubeconfig "$pki/kube-scheduler.kubeconfig" --leader-elect=false --bind-address 127.0.0.1
  run kube-proxy kube-proxy --kubeconfig "$pki/kube-proxy.kubeconfig" --proxy-mode nftables --cluster-cidr "$PODS" \
    --hostname-override "$NODE" --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 \
    --conntrack-tcp-timeout-close-wait 0 --metrics-bind-address 127.0.0.1:10249
  run kubelet kubelet --config "$RUN/kubelet.json" --kubeconfig "$pki/kubelet.kubeconfig" --hostname-override "$NODE" --node-ip "$GATEWAY"
  run coredns coredns -conf "$RUN/Corefile"
}

mounts && network || { say "the node's mounts or its network could not be made"; exit 1; }
parts
say "everything is started"
while :; do
  wait -n || true # takes in orphans, as process 1 must
  sleep .2
done
