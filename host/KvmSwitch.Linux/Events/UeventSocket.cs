using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KvmSwitch.Linux;

/// <summary>Who sent an event, as the kernel tells.</summary>
/// <param name="Port">Netlink port: 0 is the kernel itself.</param>
/// <param name="Groups">The multicast group that it was sent to, as a mask: 0 is a message to us alone, which anybody may send.</param>
/// <param name="UserId">The sender's; null when none came with it.</param>
internal readonly record struct UeventSender(uint Port, uint Groups, uint? UserId)
{
    public bool IsTrusted(uint group) => Groups == group && UserId == 0 && (group != UeventSocket.KernelGroup || Port == 0);
}

/// <summary>The netlink socket on which the kernel or udev tells of devices (netlink(7), NETLINK_KOBJECT_UEVENT).</summary>
internal sealed class UeventSocket : IDisposable
{
    public const uint KernelGroup = 1;
    public const uint UdevGroup = 2;
    private const int ReceiveBufferBytes = 1 << 20;
    private const int ControlBytes = 64;
    private static readonly byte[] Nothing = new byte[1];
    private readonly Socket _socket;
    private readonly byte[] _message = new byte[32 * 1024];

    /// <exception cref="IOException">The system doesn't let us listen.</exception>
    public UeventSocket(uint group)
    {
        Group = group;
        var descriptor = Libc.Socket(
            Libc.AF_NETLINK, Libc.SOCK_RAW | Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC, Libc.NETLINK_KOBJECT_UEVENT);
        if (descriptor < 0) throw Libc.Error("device events can't be received");
        var handle = new SafeSocketHandle(descriptor, ownsHandle: true);
        try
        {
            Configure(handle, group);
            _socket = new Socket(handle);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    public uint Group { get; }

    /// <summary>Waits for the next message without taking it. The socket's pending error, as ENOBUFS, counts as one.</summary>
    public async Task WaitAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _socket.ReceiveAsync(Nothing, SocketFlags.Peek, cancellationToken);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.MessageSize)
        {
            // Peeking at one byte of a longer message: there is one.
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.NoBufferSpaceAvailable)
        {
            WasOverrun = true;
        }
    }

    /// <summary>Events were lost since this was last cleared.</summary>
    public bool WasOverrun { get; set; }

    /// <summary>The next event that a trusted sender sent; null when none waits.</summary>
    /// <exception cref="IOException">The socket failed.</exception>
    public Uevent? TryReceive()
    {
        while (Receive(out var length, out var sender))
        {
            if (!sender.IsTrusted(Group)) continue;
            var message = _message.AsSpan(0, length);
            if ((Group == UdevGroup ? Uevent.ParseUdev(message) : Uevent.ParseKernel(message)) is { } uevent) return uevent;
        }

        return null;
    }

    public void Dispose() => _socket.Dispose();

    private static void Configure(SafeSocketHandle socket, uint group)
    {
        const int On = 1;
        // Forcing needs CAP_NET_ADMIN; without it the buffer is as large as the system allows.
        if (Libc.SetSocketOption(socket, Libc.SOL_SOCKET, Libc.SO_RCVBUFFORCE, ReceiveBufferBytes, sizeof(int)) != 0)
        {
            _ = Libc.SetSocketOption(socket, Libc.SOL_SOCKET, Libc.SO_RCVBUF, ReceiveBufferBytes, sizeof(int));
        }

        var address = new Libc.NetlinkAddress { Family = Libc.AF_NETLINK, Groups = group };
        if (Libc.SetSocketOption(socket, Libc.SOL_SOCKET, Libc.SO_PASSCRED, On, sizeof(int)) != 0
            || Libc.Bind(socket, address, Marshal.SizeOf<Libc.NetlinkAddress>()) != 0)
        {
            throw Libc.Error("device events can't be received");
        }
    }

    private unsafe bool Receive(out int length, out UeventSender sender)
    {
        var control = stackalloc byte[ControlBytes];
        Libc.NetlinkAddress address = default;
        fixed (byte* buffer = _message)
        {
            var vector = new Libc.IoVector { Base = buffer, Length = _message.Length };
            var header = new Libc.MessageHeader
            {
                Name = &address,
                NameLength = (uint)sizeof(Libc.NetlinkAddress),
                Vectors = &vector,
                VectorCount = 1,
                Control = control,
                ControlLength = ControlBytes,
            };
            length = (int)Libc.ReceiveMessage(_socket.SafeHandle, ref header, Libc.MSG_DONTWAIT);
            sender = new(address.Port, address.Groups, UserIdOf(new(control, (int)Math.Max(0, header.ControlLength))));
            if (length >= 0 && (header.Flags & Libc.MSG_TRUNC) != 0) WasOverrun = true;
        }

        return length >= 0 || HasMoreAfter(Marshal.GetLastPInvokeError());
    }

    private bool HasMoreAfter(int error)
    {
        if (error == Libc.ENOBUFS) WasOverrun = true;
        return error is Libc.EAGAIN or Libc.ENOBUFS or Libc.EINTR ? false : throw Libc.Error("device events can't be received", error);
    }

    // struct cmsghdr { size_t len; int level; int type; } and then struct ucred { int pid; uint uid; uint gid; }.
    private static uint? UserIdOf(ReadOnlySpan<byte> control) =>
        control.Length >= 28
        && BitConverter.ToInt32(control[8..]) == Libc.SOL_SOCKET && BitConverter.ToInt32(control[12..]) == Libc.SCM_CREDENTIALS
            ? BitConverter.ToUInt32(control[20..])
            : null;
}
