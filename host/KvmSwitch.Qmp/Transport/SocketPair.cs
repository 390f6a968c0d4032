using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KvmSwitch.Qmp.Transport;

/// <summary>socketpair(2), which .NET's sockets lack.</summary>
internal static unsafe partial class SocketPair
{
    private const int AfUnix = 1;
    private const int SockStream = 1;
    private const int SockCloseOnExec = 0x80000;

    /// <summary>Two ends of one stream.</summary>
    /// <exception cref="IOException">No descriptor is left.</exception>
    internal static (Socket One, Socket Other) Make()
    {
        var ends = stackalloc int[2];
        if (Make(AfUnix, SockStream | SockCloseOnExec, 0, ends) < 0)
        {
            throw new IOException($"A pair of sockets could not be made: {Marshal.GetLastPInvokeErrorMessage()}.");
        }

        return (Take(ends[0]), Take(ends[1]));
    }

    private static Socket Take(int descriptor) => new(new SafeSocketHandle(descriptor, ownsHandle: true));

    [LibraryImport("libc", EntryPoint = "socketpair", SetLastError = true)]
    private static partial int Make(int domain, int type, int protocol, int* ends);
}
