using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KvmSwitch.Qmp.Transport;

/// <summary>sendmsg(2) with one descriptor (SCM_RIGHTS, unix(7)), which .NET's sockets lack.</summary>
internal static unsafe partial class DescriptorMessage
{
    private const int SolSocket = 1;
    private const int ScmRights = 1;
    private const int MsgDontWait = 0x40;
    private const int MsgNoSignal = 0x4000;
    private const int Eintr = 4;
    private const int Eagain = 11;

    /// <summary>Sends bytes; the descriptor travels with the first of them.</summary>
    /// <returns>How many bytes were taken; 0 if there is no room now, and then the descriptor was not sent either.</returns>
    /// <exception cref="IOException">The socket is broken.</exception>
    internal static int TrySend(SafeSocketHandle socket, ReadOnlySpan<byte> bytes, int descriptor)
    {
        fixed (byte* start = bytes)
        {
            var part = new IoVector { Base = start, Length = (nuint)bytes.Length };
            var control = new ControlMessage
            {
                // CMSG_LEN(sizeof(int)); the struct's own size is CMSG_SPACE.
                Length = (nuint)(sizeof(nuint) + (3 * sizeof(int))),
                Level = SolSocket,
                Type = ScmRights,
                Descriptor = descriptor,
            };
            var message = new MessageHeader
            {
                Parts = &part,
                PartCount = 1,
                Control = &control,
                ControlLength = (nuint)sizeof(ControlMessage),
            };
            while (true)
            {
                var sent = SendMessage(socket, &message, MsgDontWait | MsgNoSignal);
                if (sent >= 0)
                {
                    return (int)sent;
                }

                switch (Marshal.GetLastPInvokeError())
                {
                    case Eintr:
                        continue;
                    case Eagain:
                        return 0;
                    case var error:
                        throw new IOException($"A descriptor could not be sent: {Marshal.GetPInvokeErrorMessage(error)}.");
                }
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static partial nint SendMessage(SafeSocketHandle socket, MessageHeader* message, int flags);

    // struct msghdr, iovec and cmsghdr of a 64-bit Linux, <sys/socket.h>.
    [StructLayout(LayoutKind.Sequential)]
    private struct MessageHeader
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
    private struct IoVector
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
