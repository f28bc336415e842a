"""The system calls by which an archive writes. Tests replace them by a disk that fails or loses power. Blocking."""

import os

FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
MODE, FOLDER_MODE = 0o600, 0o700


class Disk:
    """Every method raises `OSError`. Paths are relative to `folder`, the descriptor of the archive's folder."""

    def create(self, path: str, folder: int) -> int:
        """Make a file, which must not exist, and return its descriptor."""
        return os.open(path, FLAGS, MODE, dir_fd=folder)

    def open_again(self, path: str, folder: int) -> int:
        """Open a file to read it and to cut off its end."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder)

    def make_folder(self, path: str, folder: int) -> bool:
        """Make a folder unless it exists. Returns whether it is new."""
        try:
            os.mkdir(path, FOLDER_MODE, dir_fd=folder)
        except FileExistsError:
            return False
        return True

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of it at the end."""
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]

    def sync(self, descriptor: int, *, done: int) -> None:
        """Return once the content is on the disk. The first `done` bytes leave the cache: nobody reads them soon."""
        os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, 0, done, os.POSIX_FADV_DONTNEED)

    def sync_folder(self, path: str, folder: int) -> None:
        """Return once the names in a folder are on the disk."""
        descriptor = os.open(path, FOLDER_FLAGS, dir_fd=folder)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file. Only the next `sync` makes that durable."""
        os.ftruncate(descriptor, size)

    def rename(self, path: str, new: str, folder: int) -> None:
        os.rename(path, new, src_dir_fd=folder, dst_dir_fd=folder)

    def remove(self, path: str, folder: int) -> None:
        os.unlink(path, dir_fd=folder)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def free(self, folder: int) -> int:
        """Bytes that we may still write."""
        found = os.fstatvfs(folder)
        return found.f_bavail * found.f_frsize
