"""A store lies on a disk of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpsynth.accountant import Accountant, filesystem
from dpsynth.accountant.filesystem import kind_of
from dpsynth.errors import ConfigurationError

MOUNTS = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 27 0:40 / /srv/office rw - nfs4 server:/office rw,vers=4.2
31 27 0:41 / /srv/office/local rw - xfs /dev/vdb rw
32 27 0:42 / /mnt/my\040share rw - cifs //server/share rw
33 27 0:43 / /mnt/remote rw master:2 - fuse.sshfs user@host:/ rw
34 27 0:44 / /mnt/photos rw - fuse.gocryptfs crypt rw
35 27 0:45 / /mnt/twice rw - ext4 /dev/vdc rw
36 35 0:46 / /mnt/twice rw - ceph 10.0.0.1:/ rw
37 27 0:47 / /mnt/bucket rw - fuse.s3fs s3fs rw
38 27 0:48 / /mnt/c rw - 9p drvfs rw
"""


@pytest.fixture(autouse=True)
def mounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS)
    monkeypatch.setattr(filesystem, "_MOUNTS", path)
    return path


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/home/a.db", "ext4"),
        ("/srv/office/a.db", "nfs4"),
        ("/srv/office/local/deep/a.db", "xfs"),
        ("/srv/officer/a.db", "ext4"),
        ("/mnt/my share/a.db", "cifs"),
        ("/mnt/twice/a.db", "ceph"),
    ],
)
def test_the_innermost_newest_mount_holds_a_file(place: str, kind: str) -> None:
    assert kind_of(Path(place)) == kind


@pytest.mark.parametrize(
    "place", ["/srv/office", "/mnt/my share", "/mnt/remote", "/mnt/twice", "/mnt/bucket", "/mnt/c"]
)
@pytest.mark.parametrize("create", [False, True])
def test_a_network_is_refused_with_what_to_do(place: str, create: bool) -> None:
    with pytest.raises(ConfigurationError, match=r"shared over a network.*local disk, or use a PostgreSQL server"):
        Accountant.open(Path(place) / "a.db", create=create)


@pytest.mark.parametrize("place", ["/srv/office/local/a.db", "/mnt/photos/a.db", "/nowhere/a.db"])
def test_other_disks_are_not(place: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no store of accounts"):
        Accountant.open(place)


def test_a_link_onto_a_network_is_followed(tmp_path: Path, mounts: Path) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "here").symlink_to(tmp_path / "share")
    mounts.write_text(MOUNTS + f"40 27 0:50 / {tmp_path / 'share'} rw - nfs4 server:/ rw\n")
    with pytest.raises(ConfigurationError, match="nfs4"):
        Accountant.open(tmp_path / "here" / "a.db", create=True)


def test_where_the_system_does_not_tell_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "_MOUNTS", tmp_path / "missing")
    assert kind_of(tmp_path) == ""
    Accountant.open(tmp_path / "a.db", create=True).close()
