#!/bin/bash
# Stop what up.sh started, by PID file only, and forget its state: the objects were in memory and are gone with it.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
dir=${RWM_CEPH_DIR:-$root/build/ceph}

stop() {
  local file=$dir/run/$1.pid pid
  [ -f "$file" ] || return 0
  pid=$(cat "$file")
  # A PID file may name a process that took the number later, or one that is long dead.
  if grep -qE '^(ceph-|radosgw)' "/proc/$pid/comm" 2>/dev/null; then
    # Nothing in memory is worth a clean stop, which would first write it all to disk.
    kill -KILL "$pid"
    # Dead is enough; when its body is taken away is up to whoever is process 1 here.
    while [ -e "/proc/$pid" ] && [ "$(awk '{print $3}' "/proc/$pid/stat" 2>/dev/null)" != Z ]; do sleep 0.05; done
  fi
}

for daemon in client.rgw osd.0 mgr.x mon.a; do stop "$daemon"; done
rm -rf "$dir"/{mon,mgr,osd,rgw,run,ports,env,keyring,monmap,ceph.conf}
