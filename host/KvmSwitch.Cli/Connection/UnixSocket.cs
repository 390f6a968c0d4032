using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Cli.Connection;

/// <summary>
/// A connected Unix stream socket (unix(7)), by the system calls themselves: .NET's class starts a thread and tries the other address
/// families first, a tenth of what a short command took. Failures carry the errno.
/// </summary>
internal sealed partial class UnixSocket : IDisposable
{
    // From sys/socket.h and asm-generic/socket.h of x86-64.
    private const int Unix = 1, Stream = 1, CloseOnExec = 0x80000, SocketLevel = 1, ReceiveTimeout = 20, SendTimeout = 21, NoSignal = 0x4000, ShutBoth = 2;
    private const int PathLimit = 108;

    private readonly SafeFileHandle _handle;

    /// <param name="path">What somebody listens at; at most 107 bytes.</param>
    /// <param name="patience">How long connecting, and each sending, may take.</param>
    /// <exception cref="Win32Exception">Nobody listens there, or we may not talk to them.</exception>
    public UnixSocket(string path, TimeSpan patience)
    {
        _handle = new SafeFileHandle(Checked(Open(Unix, Stream | CloseOnExec, 0)), ownsHandle: true);
        try
        {
            SetTimeout(SendTimeout, patience);
            var address = new byte[sizeof(ushort) + PathLimit];
            MemoryMarshal.Write(address, (ushort)Unix);
            var length = sizeof(ushort) + Encoding.UTF8.GetBytes(path, address.AsSpan(sizeof(ushort)..^1)) + 1;
            Checked(Connect(_handle, address, length));
        }
        catch
        {
            _handle.Dispose();
            throw;
        }
    }

    /// <exception cref="Win32Exception">The peer hung up, or takes nothing.</exception>
    public void Send(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var sent = Send(_handle, bytes, bytes.Length, NoSignal);
            if (sent >= 0 || Marshal.GetLastPInvokeError() != Errno.Interrupted) bytes = bytes[(int)Checked(sent)..];
        }
    }

    /// <summary>Waits for bytes; 0 when the peer has hung up, null when there were none in time.</summary>
    /// <exception cref="Win32Exception">The connection is broken.</exception>
    public int? Receive(Span<byte> buffer, TimeSpan patience)
    {
        // A timeout of 0 would mean for ever.
        SetTimeout(ReceiveTimeout, patience > TimeSpan.FromMilliseconds(1) ? patience : TimeSpan.FromMilliseconds(1));
        var received = Receive(_handle, buffer, buffer.Length, 0);
        return received < 0 && Marshal.GetLastPInvokeError() is Errno.WouldBlock or Errno.Interrupted ? null : (int)Checked(received);
    }

    /// <summary>Ends the connection, also for who waits in it.</summary>
    public void Shutdown() => _ = Shutdown(_handle, ShutBoth);

    public void Dispose() => _handle.Dispose();

    private void SetTimeout(int option, TimeSpan time)
    {
        long[] seconds = [time.Ticks / TimeSpan.TicksPerSecond, time.Ticks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond];
        Checked(SetOption(_handle, SocketLevel, option, seconds, 2 * sizeof(long)));
    }

    private static nint Checked(nint result) => result >= 0 ? result : throw new Win32Exception(Marshal.GetLastPInvokeError());

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int Open(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    private static partial int Connect(SafeFileHandle socket, ReadOnlySpan<byte> address, int length);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    private static partial int SetOption(SafeFileHandle socket, int level, int option, ReadOnlySpan<long> value, int length);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static partial nint Send(SafeFileHandle socket, ReadOnlySpan<byte> bytes, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static partial nint Receive(SafeFileHandle socket, Span<byte> buffer, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "shutdown")]
    private static partial int Shutdown(SafeFileHandle socket, int how);
}
