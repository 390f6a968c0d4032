using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Agent.Linux;

/// <summary>The C library's calls that .NET has no other way to.</summary>
internal static unsafe partial class Native
{
    public const int PollIn = 1;
    public const int PollError = 8;
    public const int PollHangUp = 16;

    private const int ReadOnlyNonblockCloexec = 0x800 | 0x80000;
    private const int DirectoryCloexec = 0x10000 | 0x80000;
    private const int NetlinkFamily = 16;
    private const int DatagramCloexec = 2 | 0x80000;
    private const int NetlinkKobjectUevent = 15;
    private const int NonblockCloexec = 0x800 | 0x80000;
    private const nuint EviocsMask = 0x40104593;

    /// <summary>poll(2)'s entry.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct PollEntry
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct NetlinkAddress
    {
        public ushort Family;
        public ushort Padding;
        public uint Port;
        public uint Groups;
    }

    /// <summary>linux/input.h: struct input_mask.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct InputMask
    {
        public uint Type;
        public uint CodesSize;
        public ulong Codes;
    }

    /// <summary>Makes a rename in this directory survive a power cut.</summary>
    /// <exception cref="IOException">The directory can't be opened or written.</exception>
    public static void SyncDirectory(string path)
    {
        using var directory = new SafeFileHandle(Checked(Open(path, DirectoryCloexec), $"open {path}"), ownsHandle: true);
        Checked(FSync((int)directory.DangerousGetHandle()), $"fsync {path}");
    }

    /// <summary>A socket that receives the kernel's uevents (group 1).</summary>
    /// <exception cref="IOException">The kernel refuses.</exception>
    public static Socket OpenUevents()
    {
        var descriptor = Checked(CreateSocket(NetlinkFamily, DatagramCloexec, NetlinkKobjectUevent), "open the kernel's event socket");
        var handle = new SafeSocketHandle(descriptor, ownsHandle: true);
        var address = new NetlinkAddress { Family = NetlinkFamily, Groups = 1 };
        if (Bind(descriptor, &address, (uint)sizeof(NetlinkAddress)) < 0)
        {
            handle.Dispose();
            throw Failure("bind the kernel's event socket");
        }

        return new(handle);
    }

    /// <summary>Opens for reading without blocking; null when the file is gone or forbidden.</summary>
    public static SafeFileHandle? TryOpenForReading(string path)
    {
        var descriptor = Open(path, ReadOnlyNonblockCloexec);
        return descriptor < 0 ? null : new(descriptor, ownsHandle: true);
    }

    /// <summary>A counter that poll(2) can wait for.</summary>
    /// <exception cref="IOException">No descriptor is left.</exception>
    public static SafeFileHandle OpenEventCounter() =>
        new(Checked(EventDescriptor(0, NonblockCloexec), "make an event descriptor"), ownsHandle: true);

    public static void Raise(SafeFileHandle counter)
    {
        ulong one = 1;
        Checked((int)Write(counter, &one, sizeof(ulong)), "write to an event descriptor");
    }

    /// <summary>Bytes read; 0 at the end of the file; -1 when nothing is there; -2 when the file can't be read any more.</summary>
    public static int TryRead(SafeFileHandle file, Span<byte> buffer)
    {
        const int again = 11;
        const int interrupted = 4;
        fixed (byte* start = buffer)
        {
            var count = Read(file, start, (nuint)buffer.Length);
            return count >= 0 ? (int)count : Marshal.GetLastPInvokeError() is again or interrupted ? -1 : -2;
        }
    }

    /// <summary>Waits without limit until an entry has something, or a signal came.</summary>
    /// <exception cref="IOException">poll(2) failed.</exception>
    public static void Poll(Span<PollEntry> entries)
    {
        const int interrupted = 4;
        fixed (PollEntry* start = entries)
        {
            if (PollDescriptors(start, (nuint)entries.Length, -1) < 0 && Marshal.GetLastPInvokeError() != interrupted)
                throw Failure("poll");
        }
    }

    /// <summary>
    /// The low half of a file's inode number; null when it is gone. In sysfs the kernel counts up for each new entry, so that it tells two
    /// stays of a device under one name apart.
    /// </summary>
    public static int? Inode(string path)
    {
        // linux/stat.h: struct statx.
        const int size = 256;
        const int inode = 32;
        const uint maskInode = 0x100;
        const int currentDirectory = -100;
        Span<byte> answer = stackalloc byte[size];
        fixed (byte* start = answer)
            return StatX(currentDirectory, path, 0, maskInode, start) == 0 ? BinaryPrimitives.ReadInt32LittleEndian(answer[inode..]) : null;
    }

    /// <summary>Asks evdev not to report events of <paramref name="type"/> here. Only saves wake-ups: false on what is no evdev node.</summary>
    public static bool Mute(SafeFileHandle device, uint type)
    {
        var mask = new InputMask { Type = type };
        return Control(device, EviocsMask, &mask) == 0;
    }

    private static int Checked(int result, string what) => result >= 0 ? result : throw Failure(what);

    private static IOException Failure(string what) =>
        new($"Can't {what}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSync(int descriptor);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int directory, string path, int flags, uint mask, byte* answer);

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int CreateSocket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    private static partial int Bind(int descriptor, NetlinkAddress* address, uint length);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    private static partial int EventDescriptor(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(SafeFileHandle file, void* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(SafeFileHandle file, void* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int PollDescriptors(PollEntry* entries, nuint count, int timeout);

    // ioctl(2) and open(2) are variadic: with these argument types the x86-64 convention is the same as for a plain function.
    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, nuint request, void* argument);
}
