using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Testing.Qmp;

/// <summary>recvmsg(2) with SCM_RIGHTS, unix(7).</summary>
internal static partial class DescriptorReader
{
    private const int MsgDontWait = 0x40;
    private const int MsgCloseOnExec = 0x40000000;
    private const int Eintr = 4;
    private const int Eagain = 11;

    /// <summary>Reads what is there, and the descriptor that came with it. 0 bytes: the peer left.</summary>
    internal static async ValueTask<(int Count, SafeFileHandle? Descriptor)> ReadAsync(
        Socket socket, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            // A read of no bytes completes when there is something to read.
            await socket.ReceiveAsync(Memory<byte>.Empty, cancellationToken);
            var count = Read(socket.SafeHandle, buffer.Span, out var descriptor);
            if (count >= 0)
            {
                return (count, descriptor);
            }
        }
    }

    private static unsafe int Read(SafeSocketHandle socket, Span<byte> bytes, out SafeFileHandle? descriptor)
    {
        descriptor = null;
        fixed (byte* start = bytes)
        {
            var part = new IoVector { Base = start, Length = (nuint)bytes.Length };
            ControlMessage control = default;
            var message = new MessageHeader { Parts = &part, PartCount = 1, Control = &control, ControlLength = (nuint)sizeof(ControlMessage) };
            var count = ReceiveMessage(socket, &message, MsgDontWait | MsgCloseOnExec);
            if (count < 0)
            {
                return Marshal.GetLastPInvokeError() is Eintr or Eagain
                    ? -1
                    : throw new IOException(Marshal.GetLastPInvokeErrorMessage());
            }

            if (message.ControlLength >= (nuint)(sizeof(nuint) + (3 * sizeof(int))))
            {
                descriptor = new SafeFileHandle(control.Descriptor, ownsHandle: true);
            }

            return (int)count;
        }
    }

    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    private static unsafe partial nint ReceiveMessage(SafeSocketHandle socket, MessageHeader* message, int flags);

    [StructLayout(LayoutKind.Sequential)]
    private unsafe struct MessageHeader
    {
        public void* Name;
        public uint NameLength;
        public IoVector* Parts;
        public nuint PartCount;
        public void* Control;
        public nuint ControlLength;
        public int Flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    private unsafe struct IoVector
    {
        public byte* Base;
        public nuint Length;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct ControlMessage
    {
        public nuint Length;
        public int Level;
        public int Type;
        public int Descriptor;
        public int Padding;
    }
}
