using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Cli;

/// <summary>
/// What is written to a standard descriptor, by write(2). The console's own stream hides a reader that went away, so that
/// <c>status --watch | head -1</c> would never end, and starts a thread that waits for signals; a file's stream writes at offsets of its
/// own, which is wrong for a file that others append to.
/// </summary>
internal sealed partial class StandardStream(int descriptor) : Stream
{
    private readonly SafeFileHandle _handle = new(descriptor, ownsHandle: false);

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    /// <exception cref="IOException">It takes nothing any more; its HResult is the errno.</exception>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            var written = Write(_handle, buffer, buffer.Length);
            var error = written < 0 ? Marshal.GetLastPInvokeError() : 0;
            switch (error)
            {
                case 0: buffer = buffer[(int)written..]; break;
                case Errno.Interrupted: break;
                case Errno.WouldBlock: WaitUntilItTakesMore(); break;
                default: throw new IOException(Marshal.GetPInvokeErrorMessage(error), error);
            }
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
        // Nothing waits here.
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    // A terminal or pipe that another program has set to non-blocking. It takes as long as its reader does, as a write that blocks would.
    private void WaitUntilItTakesMore()
    {
        var wait = new PollDescriptor { Descriptor = (int)_handle.DangerousGetHandle(), Events = PollDescriptor.Writable };
        _ = Poll(ref wait, 1, -1);
    }

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(SafeFileHandle descriptor, ReadOnlySpan<byte> bytes, nint length);

    [LibraryImport("libc", EntryPoint = "poll")]
    private static partial int Poll(ref PollDescriptor descriptors, nuint count, int milliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollDescriptor
    {
        public const short Writable = 4;
        public int Descriptor;
        public short Events;
        public short Returned;
    }
}
