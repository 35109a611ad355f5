"""Where a store may lie: on a disk of this machine, never on a file system of a network.

SQLite keeps its promises by file locks and by syncing. Network file systems lose locks when a server restarts, and
some keep none: two machines would then spend the same budget (https://www.sqlite.org/howtocorrupt.html, section 2.1;
https://www.sqlite.org/useovernet.html). Linux tells the kind of each mounted file system; elsewhere nothing is refused.
"""

from __future__ import annotations

import re
from pathlib import Path

from dpsynth.errors import ConfigurationError

NETWORK = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "drvfs", "gfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs",
        "nfs", "nfs4", "ocfs2", "pvfs2", "smb2", "smb3", "smbfs", "vboxsf",
    }
)  # fmt: skip
"""The kinds of file systems that other machines may write to at the same time."""

_NETWORK_FUSE = re.compile(
    r"fuse\.(?:.*(?:ceph|curl|dav|gcs|gluster|goofys|hdfs|moose|nfs|rclone|s3|smb|ssh|vmhgfs).*)"
)
_MOUNTS = Path("/proc/self/mountinfo")


def require_local(path: Path) -> None:
    """ConfigurationError if ``path``, resolved, lies on a file system of a network."""
    kind = kind_of(path)
    if kind in NETWORK or _NETWORK_FUSE.fullmatch(kind):
        raise ConfigurationError(
            f"{path}: a file system of kind {kind!r} is shared over a network, where SQLite's locks cannot be trusted "
            "and a budget could be spent twice: put --store on a local disk, or use a PostgreSQL server (--store "
            "postgresql://...)"
        )


def kind_of(path: Path) -> str:
    """The kind of the file system that holds ``path``, which need not exist; ``""`` where the system does not tell."""
    try:
        text = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    best, kind = -1, ""
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        place = Path(_unescaped(left.split(" ")[4]))
        if path.is_relative_to(place) and len(place.parts) >= best:  # the last of several mounts on one place holds
            best, kind = len(place.parts), right.split(" ")[0]
    return kind


def _unescaped(text: str) -> str:
    """A mount point as a name: the kernel writes white space and backslashes in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
