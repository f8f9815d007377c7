"""Whether a folder is on a network file system, on which SQLite's write-ahead log does not work."""

from __future__ import annotations

import os
import re
from pathlib import Path

_MOUNTS = Path("/proc/mounts")
_NETWORK = frozenset(
    (
        *(
            "nfs",
            "nfs4",
            "cifs",
            "smb3",
            "smbfs",
            "afs",
            "ceph",
            "glusterfs",
            "lustre",
            "gpfs",
            "ocfs2",
            "gfs2",
            "beegfs",
        ),
        *("9p", "virtiofs", "vboxsf", "vmhgfs", "drvfs", "orangefs", "pvfs2", "coda", "ncpfs"),
    )
)
"""Types of file systems that several machines may share."""
_ESCAPE = re.compile(r"\\([0-7]{3})")


def may_be_on_a_network(folder: Path, mounts: Path = _MOUNTS) -> bool:
    """Return whether several machines may share the folder; True also where the list of mounts cannot be read.

    `mounts` is a file in the format of /proc/mounts.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return True
    where = Path(os.path.realpath(folder))
    best, kind = -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[1]))
        # Of two mounts on one folder the later one is seen.
        if len(point.parts) >= best and where.is_relative_to(point):
            best, kind = len(point.parts), fields[2]
    # FUSE has any kind of file system behind it; `fuseblk` is a local disk.
    return not kind or kind in _NETWORK or kind.startswith("fuse.")
