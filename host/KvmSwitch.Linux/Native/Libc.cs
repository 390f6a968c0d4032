using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Linux;

/// <summary>The calls of libc that .NET doesn't offer. Constants are those of 64-bit Linux (asm-generic).</summary>
internal static partial class Libc
{
    public const int EINTR = 4;
    public const int EAGAIN = 11;
    public const int ENOENT = 2;
    public const int ESRCH = 3;
    public const int ENXIO = 6;
    public const int ECHILD = 10;
    public const int EACCES = 13;
    public const int EPERM = 1;
    public const int ENODEV = 19;
    public const int EFBIG = 27;
    public const int ENOSPC = 28;
    public const int EROFS = 30;
    public const int ENOBUFS = 105;
    public const int EDQUOT = 122;

    public const int O_RDONLY = 0;
    public const int O_WRONLY = 1;
    public const int O_RDWR = 2;
    public const int O_CREAT = 0x40;
    public const int O_APPEND = 0x400;
    public const int O_DIRECTORY = 0x10000;
    public const int O_CLOEXEC = 0x80000;

    /// <summary>Where the name is in glibc's struct dirent of 64-bit Linux (readdir(3)): after ino_t, off_t, a length and a type.</summary>
    public const int DirectoryEntryName = 19;

    private const string Library = "libc";

    /// <summary>The error of the last call, in the system's words.</summary>
    public static IOException Error(string what) => Error(what, Marshal.GetLastPInvokeError());

    public static IOException Error(string what, int errno) => new($"{what}: {Marshal.GetPInvokeErrorMessage(errno)}", errno);

    [LibraryImport(Library, EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial SafeFileHandle Open(string path, int flags, uint mode);

    [LibraryImport(Library, EntryPoint = "fsync", SetLastError = true)]
    public static partial int Fsync(SafeFileHandle file);

    /// <summary>One write(2), as attributes of sysfs want it; RandomAccess.Write would ask for a position, which a pipe has not.</summary>
    [LibraryImport(Library, EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, nint count);

    /// <summary>Cut off where it is longer than there is room for (readlink(2)).</summary>
    [LibraryImport(Library, EntryPoint = "readlink", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint ReadLink(string path, Span<byte> target, nint size);

    /// <summary>Null when there is no such directory.</summary>
    [LibraryImport(Library, EntryPoint = "opendir", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint OpenDirectory(string path);

    /// <summary>A struct dirent, which the next call may reuse; null after the last.</summary>
    [LibraryImport(Library, EntryPoint = "readdir")]
    public static partial nint ReadDirectory(nint directory);

    [LibraryImport(Library, EntryPoint = "closedir")]
    public static partial int CloseDirectory(nint directory);

    [LibraryImport(Library, EntryPoint = "close", SetLastError = true)]
    public static partial int Close(nint descriptor);

    [LibraryImport(Library, EntryPoint = "geteuid")]
    public static partial uint GetEffectiveUserId();

    [LibraryImport(Library, EntryPoint = "lchown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int ChangeOwner(string path, uint user, uint group);
}
