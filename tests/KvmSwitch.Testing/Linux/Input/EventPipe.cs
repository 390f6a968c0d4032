using System.Runtime.InteropServices;
using KvmSwitch.Linux.Input;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Testing.Linux.Input;

/// <summary>A pipe of real input_event structs, 24 bytes each; the reading end never blocks, as an event node's.</summary>
internal sealed partial class EventPipe : IDisposable
{
    private const int NonblockCloexec = 0x800 | 0x80000;
    private readonly SafeFileHandle _writer;

    public EventPipe()
    {
        Span<int> ends = stackalloc int[2];
        if (MakePipe(ends, NonblockCloexec) != 0) throw new IOException($"pipe2: {Marshal.GetLastPInvokeErrorMessage()}");
        Reader = new(ends[0], ownsHandle: true);
        _writer = new(ends[1], ownsHandle: true);
    }

    public SafeFileHandle Reader { get; }

    public void Write(InputEvent one) => WriteBytes(MemoryMarshal.AsBytes(new ReadOnlySpan<InputEvent>(in one)));

    /// <summary>What a broken device might send.</summary>
    public void WriteBytes(ReadOnlySpan<byte> bytes)
    {
        // A full pipe loses events, as a full queue of the kernel does.
        if (!_writer.IsClosed) _ = WriteTo(_writer, bytes, bytes.Length);
    }

    /// <summary>The number of whole events; 0: none now; -1: the end.</summary>
    public int Read(Span<InputEvent> events)
    {
        const int again = 11;
        var bytes = MemoryMarshal.AsBytes(events);
        var count = ReadFrom(Reader, bytes, bytes.Length);
        return count > 0 ? (int)count / Marshal.SizeOf<InputEvent>() : count < 0 && Marshal.GetLastPInvokeError() == again ? 0 : -1;
    }

    /// <summary>The device has gone: who reads finds the end.</summary>
    public void End() => _writer.Dispose();

    public void Dispose()
    {
        _writer.Dispose();
        Reader.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    private static partial int MakePipe(Span<int> ends, int flags);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint WriteTo(SafeFileHandle file, ReadOnlySpan<byte> bytes, nint count);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint ReadFrom(SafeFileHandle file, Span<byte> bytes, nint count);
}
