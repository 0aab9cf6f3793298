"""The kind of file system that a folder lies on.

Refuses those that lie behind a network: their locks and their syncs do not hold what a journal needs.
"""

import re
from pathlib import Path

from service.errors import JournalError

MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = re.compile(
    r"nfs\d*|cifs|smb\w*|9p|ceph|glusterfs|afs|ncpfs|lustre|beegfs|gfs2?|ocfs2"
    r"|fuse\.(sshfs|ceph|glusterfs|s3fs|rclone|gcsfuse|blobfuse\d?|goofys|davfs2?|curlftpfs|nfs|smbnetfs|moosefs|juicefs"
    r"|seaweedfs|beegfs|lizardfs|mountpoint-s3)"
)
_VOLATILE = {"tmpfs", "ramfs"}
_ESCAPE = re.compile(r"\\([0-7]{3})")
_MOUNT_POINT = 4


def kind_of(path: Path, mountinfo: str | None = None) -> str:
    """The file system's type under a path, which need not exist yet; empty where no mount is known.

    Args:
        path: any path; links are followed.
        mountinfo: the mounts, in the form of /proc/self/mountinfo, which is read where none are given.
    """
    mounts = _mounts(MOUNTS.read_text() if mountinfo is None else mountinfo)
    real = path.resolve() if mountinfo is None else path
    kinds = [kind for point, kind in mounts if real == point or point in real.parents]
    return kinds[-1] if kinds else ""


def admit(path: Path, mountinfo: str | None = None) -> str:
    """The file system's type under a path that a journal may lie on.

    Raises:
        JournalError: it lies behind a network.
    """
    kind = kind_of(path, mountinfo)
    if _NETWORK.fullmatch(kind):
        raise JournalError(f"The journal's folder {path} is on {kind}; it needs a local disk.")
    return kind


def volatile(kind: str) -> bool:
    """Whether what lies on it is gone when the machine stops."""
    return kind in _VOLATILE


def caution(kind: str) -> str:
    """One word an operator should hear: `volatile`, `overlay` (goes with the container), or empty."""
    if volatile(kind):
        return "volatile"
    return "overlay" if kind in {"overlay", "overlayfs", "aufs"} else ""


def _mounts(text: str) -> list[tuple[Path, str]]:
    """Mount points and types, those nearest to the root first; of two on one point the later is seen."""
    found = [_mount(line) for line in text.splitlines() if " - " in line]
    return sorted(found, key=lambda mount: len(mount[0].parts))


def _mount(line: str) -> tuple[Path, str]:
    before, _, after = line.partition(" - ")
    point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), before.split(" ")[_MOUNT_POINT])
    return Path(point), after.split(" ")[0]
