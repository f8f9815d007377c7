"""Which folders several machines may share, by the list of mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from prodwatch.store.history.network_folders import may_be_on_a_network

MOUNTS = """\
/dev/vda / ext4 rw 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw 0 0
/dev/vdb /home/local ext4 rw 0 0
//nas/share /mnt/with\\040space cifs rw 0 0
sshfs /mnt/ssh fuse.sshfs rw 0 0
/dev/sdb1 /mnt/usb fuseblk rw 0 0
tmpfs /over tmpfs rw 0 0
server:/over /over nfs rw 0 0
a line that is cut
"""


@pytest.mark.parametrize(
    ("folder", "shared"),
    [
        ("/srv/data", False),
        ("/home/me/.local/share", True),
        ("/home/local/me", False),
        ("/homework", False),
        ("/mnt/with space/x", True),
        ("/mnt/ssh", True),
        ("/mnt/usb/x", False),
        ("/over/x", True),
    ],
)
def test_the_longest_and_last_mount_decides(folder: str, shared: bool, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert may_be_on_a_network(Path(folder), mounts) is shared


def test_without_a_list_of_mounts_it_may_be(tmp_path: Path) -> None:
    assert may_be_on_a_network(tmp_path, tmp_path / "missing")
    (tmp_path / "empty").write_text("")
    assert may_be_on_a_network(tmp_path, tmp_path / "empty")
