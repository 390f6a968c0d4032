using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Linux;

internal static partial class Libc
{
    public const int EBUSY = 16;
    public const int EOPNOTSUPP = 95;
    public const int ENOMEDIUM = 123;

    public const int O_EXCL = 0x80;
    public const int O_NONBLOCK = 0x800;

    public const int UMOUNT_NOFOLLOW = 8;

    // linux/cdrom.h
    public const nuint CDROM_DRIVE_STATUS = 0x5326;
    public const nuint CDROM_LOCKDOOR = 0x5329;
    public const int CDSL_CURRENT = int.MaxValue;

    /// <param name="path">Ended by NUL.</param>
    /// <param name="flags">Of umount2(2).</param>
    [LibraryImport(Library, EntryPoint = "umount2", SetLastError = true)]
    public static partial int Unmount(ReadOnlySpan<byte> path, int flags);

    /// <summary>ioctl(2) with a number; its variable argument is passed like a fixed one by the calling conventions of Linux.</summary>
    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Control(SafeFileHandle file, nuint request, nint argument);

    [LibraryImport(Library, EntryPoint = "pread", SetLastError = true)]
    public static partial nint ReadAt(SafeFileHandle file, Span<byte> bytes, nint count, long offset);
}
