using System.Runtime.InteropServices;

namespace KvmSwitch.Linux;

internal static partial class Libc
{
    public const int RLIMIT_MEMLOCK = 8;

    /// <summary>RLIM_INFINITY is the largest number, so that a greater limit is always a wider one.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ResourceLimit
    {
        public ulong Soft;
        public ulong Hard;
    }

    /// <summary>prlimit(2), reading.</summary>
    [LibraryImport(Library, EntryPoint = "prlimit64", SetLastError = true)]
    public static partial int GetLimit(int pid, int resource, nint none, out ResourceLimit limit);

    /// <summary>prlimit(2), setting.</summary>
    [LibraryImport(Library, EntryPoint = "prlimit64", SetLastError = true)]
    public static partial int SetLimit(int pid, int resource, in ResourceLimit limit, nint none);
}
