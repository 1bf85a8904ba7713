#!/bin/bash
# Start a Ceph RADOS Gateway (Debian's packages, in memory, loopback only), or leave a running one as it is.
# Its state is in $RWM_CEPH_DIR (default: build/ceph of this checkout); `env` there names the endpoint and the keys.
# $RWM_CEPH_STORE=bluestore keeps objects on disk, as a server in earnest does, and waits for the disk (make bench).
# Exit code 77: Ceph is not installed and cannot be from here; the reason is printed.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
dir=${RWM_CEPH_DIR:-$root/build/ceph}
store=${RWM_CEPH_STORE:-memstore}
packages=(ceph-mon ceph-mgr ceph-osd ceph-common radosgw)

installed() { command -v ceph-mon ceph-mgr ceph-osd radosgw radosgw-admin >/dev/null; }

install_ceph() {
  if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "Ceph is not installed; as root run: apt-get install --no-install-recommends ${packages[*]}"
    exit 77
  fi
  # Debian's packages start their daemons on installation. This machine was not asked to run a cluster.
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >"$dir/apt.log" 2>&1; then
    echo "Ceph could not be installed: $(tail -1 "$dir/apt.log") (all of it: $dir/apt.log)"
    exit 77
  fi
}

free_ports() { # prints $1 free loopback ports
  python3 - "$1" <<'PYTHON'
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(listener.getsockname()[1] for listener in held))
PYTHON
}

configure() {
  local mon_v2 mon_v1 gateway classes
  read -r mon_v2 mon_v1 gateway <<<"$(free_ports 3)"
  classes=$(dirname "$(find /usr/lib -name libcls_rgw.so -print -quit)")
  echo "$mon_v2 $mon_v1 $gateway" >"$dir/ports"
  cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $(python3 -c 'import uuid; print(uuid.uuid4())')
mon_initial_members = a
mon_host = [v2:127.0.0.1:$mon_v2,v1:127.0.0.1:$mon_v1]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_crush_chooseleaf_type = 0
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_max_pg_per_osd = 2000
# One disk that also holds everything else may be nearly full; the objects live in memory.
mon_data_avail_warn = 1
mon_data_avail_crit = 1
run_dir = $dir/run
admin_socket = $dir/run/\$cluster-\$name.asok
log_file = $dir/log/\$name.log
mon_cluster_log_file = $dir/log/cluster.log
crash_dir = $dir/log
pid_file = $dir/run/\$name.pid
keyring = $dir/keyring
[mon]
mon_data = $dir/mon
[mgr]
mgr_data = $dir/mgr
mgr_initial_modules =
[osd]
osd_data = $dir/osd
osd_objectstore = $store
memstore_device_bytes = $((4 << 30))
bluestore_block_size = $((8 << 30))
bluestore_block_create = true
osd_memory_target = $((2 << 30))
osd_class_dir = $classes
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 2
osd_max_scrubs = 0
[client]
rgw_data = $dir/rgw
rgw_frontends = beast endpoint=127.0.0.1:$gateway tcp_nodelay=1
rgw_thread_pool_size = 64
rgw_run_sync_thread = false
rgw_enable_quota_threads = false
rgw_dynamic_resharding = false
rgw_enable_usage_log = false
CONF
}

running() { # is the daemon $1 alive, and really ours? A PID file may name a process that took the number later.
  local file=$dir/run/$1.pid
  [ -f "$file" ] && grep -qE '^(ceph-|radosgw)' "/proc/$(cat "$file")/comm" 2>/dev/null
}

await() { # run "$@" until it succeeds, for at most half a minute
  local tries
  for tries in $(seq 150); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.2
  done
  echo "gave up waiting for: $*; the logs are in $dir/log" >&2
  exit 1
}

start_monitor() {
  if [ ! -d "$dir/mon/store.db" ]; then
    local mon_v2 mon_v1 keyring=$dir/keyring fsid
    read -r mon_v2 mon_v1 _ <"$dir/ports"
    fsid=$(awk '/^fsid/ {print $3}' "$dir/ceph.conf")
    monmaptool --create --clobber --addv a "[v2:127.0.0.1:$mon_v2,v1:127.0.0.1:$mon_v1]" --fsid "$fsid" "$dir/monmap"
    key() { ceph-authtool "$keyring" --gen-key "$@"; }
    key --create-keyring -n mon. --cap mon 'allow *'
    key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    key -n client.rgw --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    key -n mgr.x --cap mon 'allow *' --cap osd 'allow *'
    key -n osd.0 --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    ceph-mon -i a --mkfs --monmap "$dir/monmap" --keyring "$keyring"
  fi >/dev/null 2>&1
  running mon.a || ceph-mon -i a >/dev/null
  await timeout 5 ceph --connect-timeout 3 -s
}

start_storage() {
  running mgr.x || ceph-mgr -i x >/dev/null
  if [ ! -f "$dir/osd/fsid" ]; then
    local uuid
    uuid=$(python3 -c 'import uuid; print(uuid.uuid4())')
    { ceph osd new "$uuid" 0 && ceph-osd -i 0 --mkfs --osd-uuid "$uuid"; } >/dev/null 2>&1
  fi
  running osd.0 || ceph-osd -i 0 >/dev/null 2>&1
  await sh -c "ceph osd stat | grep -q '1 up'"
}

answers() { python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)' "$1"; }

create_user() { # $1 name, $2 access key, $3 secret
  timeout 60 radosgw-admin user create --uid="tenant1\$$1" --display-name="$1" --access-key="$2" --secret-key="$3"
}

start_gateway() {
  local gateway
  read -r _ _ gateway <"$dir/ports"
  running client.rgw || radosgw -n client.rgw >/dev/null
  await answers "http://127.0.0.1:$gateway/"
  [ -f "$dir/env" ] && return
  create_user admin ADMINACCESSKEY000001 adminsecretadminsecretadminsecret00000001 >/dev/null 2>&1
  create_user limited USERACCESSKEY0000001 usersecretusersecretusersecret0000000001 >/dev/null 2>&1
  cat >"$dir/env" <<ENV
endpoint=http://127.0.0.1:$gateway
admin_access_key=ADMINACCESSKEY000001
admin_secret_key=adminsecretadminsecretadminsecret00000001
limited_access_key=USERACCESSKEY0000001
limited_secret_key=usersecretusersecretusersecret0000000001
admin_principal=arn:aws:iam::tenant1:user/admin
limited_principal=arn:aws:iam::tenant1:user/limited
ENV
}

all_running() { running mon.a && running mgr.x && running osd.0 && running client.rgw; }

# What was in memory is gone with the process that held it: half a cluster cannot be continued.
[ ! -f "$dir/ceph.conf" ] || all_running || "$(dirname "$0")/down.sh"
mkdir -p "$dir"/{mon,mgr,osd,rgw,run,log}
installed || install_ceph
[ -f "$dir/ceph.conf" ] || configure
export CEPH_CONF=$dir/ceph.conf CEPH_ARGS="--conf $dir/ceph.conf"
start_monitor
start_storage
start_gateway
cat "$dir/env"
