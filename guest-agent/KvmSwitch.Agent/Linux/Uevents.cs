using System.Net.Sockets;

namespace KvmSwitch.Agent.Linux;

/// <summary>The kernel's announcements of devices (Documentation/driver-api/driver-model in its source). Only hints to look again.</summary>
internal sealed class Uevents(Socket socket) : IDisposable
{
    private static readonly byte[][] Subsystems =
    [
        "SUBSYSTEM=usb\0"u8.ToArray(), "SUBSYSTEM=input\0"u8.ToArray(), "SUBSYSTEM=pci\0"u8.ToArray(), "SUBSYSTEM=block\0"u8.ToArray(),
    ];

    // Room for a burst; when it still overflows the kernel says so (ENOBUFS), and that is a hint like any other.
    private const int ReceiveBuffer = 1024 * 1024;

    /// <exception cref="IOException">The kernel does not let us listen.</exception>
    public static Uevents Open()
    {
        var socket = Native.OpenUevents();
        socket.ReceiveBufferSize = ReceiveBuffer;
        return new(socket);
    }

    /// <summary>Calls <paramref name="look"/> after each burst of events, and once at the start, until cancelled.</summary>
    /// <exception cref="IOException">The socket failed.</exception>
    public async Task RunAsync(Action look, CancellationToken cancellationToken)
    {
        look();
        var buffer = new byte[16 * 1024];
        while (true)
        {
            var matters = await ReceiveAsync(buffer, cancellationToken);
            while (socket.Poll(0, SelectMode.SelectRead))
                matters |= await ReceiveAsync(buffer, cancellationToken);
            if (matters)
                look();
        }
    }

    public void Dispose() => socket.Dispose();

    private async Task<bool> ReceiveAsync(byte[] buffer, CancellationToken cancellationToken)
    {
        try
        {
            var count = await socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken);
            return Subsystems.Any(subsystem => buffer.AsSpan(0, count).IndexOf(subsystem) >= 0);
        }
        catch (SocketException lost) when (lost.SocketErrorCode == SocketError.NoBufferSpaceAvailable)
        {
            return true;
        }
        catch (SocketException broken)
        {
            throw new IOException($"The kernel's device events can't be read: {broken.Message}", broken);
        }
    }
}
