# SPDX-License-Identifier: MIT
"""Where the tests of this folder work."""
import os
import tempfile


def fastest():
    """Memory, where it keeps attributes (Linux 6.6): each apply waits for disks often."""
    try:
        with tempfile.NamedTemporaryFile(dir="/dev/shm") as f:
            os.setxattr(f.name, "user.test", b"t")
        return "/dev/shm"
    except OSError:
        return None
