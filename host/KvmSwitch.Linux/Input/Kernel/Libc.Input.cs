using System.Runtime.InteropServices;
using KvmSwitch.Linux.Input;

namespace KvmSwitch.Linux;

internal static partial class Libc
{
    public const int EINVAL = 22;

    /// <summary>_IOC of asm-generic/ioctl.h, for reading from the kernel.</summary>
    public static nuint Ior(char type, int number, int size) => 0x80000000u | ((uint)size << 16) | ((uint)type << 8) | (uint)number;

    /// <summary>_IOC of asm-generic/ioctl.h, for telling the kernel.</summary>
    public static nuint Iow(char type, int number, int size) => 0x40000000u | ((uint)size << 16) | ((uint)type << 8) | (uint)number;

    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Ioctl(SafeHandle file, nuint request, nint value);

    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    public static unsafe partial int Ioctl(SafeHandle file, nuint request, void* value);

    [LibraryImport(Library, EntryPoint = "read", SetLastError = true)]
    public static unsafe partial nint Read(SafeHandle file, void* bytes, nint count);

    [LibraryImport(Library, EntryPoint = "write", SetLastError = true)]
    public static unsafe partial nint Write(SafeHandle file, void* bytes, nint count);

    /// <summary>Never blocks on a descriptor that doesn't. The number of events; 0: none now; -1: it can't be read any more.</summary>
    public static unsafe int ReadEvents(SafeHandle file, Span<InputEvent> events)
    {
        fixed (InputEvent* first = events)
        {
            nint count;
            int error;
            do
            {
                count = Read(file, first, events.Length * (nint)sizeof(InputEvent));
                error = count < 0 ? Marshal.GetLastPInvokeError() : 0;
            }
            while (error == EINTR);
            return error == EAGAIN ? 0 : count <= 0 ? -1 : (int)(count / sizeof(InputEvent));
        }
    }

    /// <returns>False when the kernel didn't take all.</returns>
    public static unsafe bool WriteEvents(SafeHandle file, ReadOnlySpan<InputEvent> events)
    {
        fixed (InputEvent* first = events)
        {
            var size = events.Length * (nint)sizeof(InputEvent);
            nint count;
            do
            {
                count = Write(file, first, size);
            }
            while (count < 0 && Marshal.GetLastPInvokeError() == EINTR);
            return count == size;
        }
    }
}
