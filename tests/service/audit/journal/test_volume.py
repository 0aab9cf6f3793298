from pathlib import Path

import pytest

from service.audit.journal import volume
from service.errors import JournalError

MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:25 / /run rw,nosuid shared:5 - tmpfs tmpfs rw,size=800k
41 22 0:40 / /srv rw - nfs4 server:/export rw,vers=4.2
42 41 0:41 / /srv/fast\040disk rw master:1 - xfs /dev/vdb rw
43 22 0:42 / /mnt/share rw - cifs //server/share rw
44 22 0:43 / /home/me/remote rw - fuse.sshfs me@host:/ rw
45 22 0:44 / /app rw - overlay overlay rw
46 22 0:45 / /twice rw - tmpfs tmpfs rw
47 22 0:46 / /twice rw - ext4 /dev/vdc rw
48 22 0:47 / /w rw - fuseblk /dev/vdd rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib/parley", "ext4"),
        ("/run/parley", "tmpfs"),
        ("/runner", "ext4"),
        ("/srv/parley", "nfs4"),
        ("/srv/fast disk/parley", "xfs"),
        ("/app/var", "overlay"),
        ("/twice/x", "ext4"),
        ("/w", "fuseblk"),
    ],
)
def test_the_longest_mount_point_decides(path, kind):
    assert volume.kind_of(Path(path), MOUNTS) == kind


@pytest.mark.parametrize("path", ["/srv/parley", "/srv", "/mnt/share/a/b", "/home/me/remote/x"])
def test_a_folder_behind_a_network_is_refused(path):
    with pytest.raises(JournalError, match="needs a local disk"):
        volume.admit(Path(path), MOUNTS)


@pytest.mark.parametrize(
    "kind",
    [
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "fuse.ceph", "glusterfs",
        "fuse.glusterfs", "afs", "ncpfs", "lustre", "beegfs", "fuse.s3fs", "fuse.rclone",
    ],
)  # fmt: skip
def test_every_network_file_system_is_refused(kind):
    with pytest.raises(JournalError, match=kind):
        volume.admit(Path("/a"), f"1 0 0:1 / / rw - {kind} x rw")


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay", "fuseblk", "fuse.mergerfs"]
)
def test_a_local_one_is_admitted(kind):
    assert volume.admit(Path("/a"), f"1 0 0:1 / / rw - {kind} x rw") == kind


def test_what_does_not_last_is_said():
    assert [kind for kind in ("tmpfs", "ramfs", "ext4", "overlay") if volume.volatile(kind)] == [
        "tmpfs",
        "ramfs",
    ]
    assert [volume.caution(kind) for kind in ("tmpfs", "overlay", "ext4", "")] == [
        "volatile",
        "overlay",
        "",
        "",
    ]


def test_this_machine_s_mounts_are_read(tmp_path):
    assert volume.kind_of(tmp_path / "not" / "there")
    assert volume.kind_of(Path("/proc/self")) == "proc"
    assert volume.kind_of(tmp_path, "") == ""


def test_links_are_followed(tmp_path):
    (tmp_path / "link").symlink_to("/proc")
    assert volume.kind_of(tmp_path / "link") == "proc"
