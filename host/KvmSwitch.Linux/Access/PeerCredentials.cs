using System.Net.Sockets;

namespace KvmSwitch.Linux;

/// <summary>Who is at the other end of a Unix socket, as the kernel saw it when they connected (SO_PEERCRED, unix(7)).</summary>
public readonly record struct PeerCredentials(int Pid, uint Uid, uint Gid)
{
    /// <exception cref="SocketException">Not a Unix socket, or not connected.</exception>
    public static PeerCredentials Of(Socket socket)
    {
        Span<byte> credentials = stackalloc byte[12];
        var length = socket.GetRawSocketOption(Libc.SOL_SOCKET, Libc.SO_PEERCRED, credentials);
        var user = BitConverter.ToUInt32(credentials[4..]);
        // A socket without a peer answers with pid 0 and no user at all.
        return length == credentials.Length && user != uint.MaxValue
            ? new(BitConverter.ToInt32(credentials), user, BitConverter.ToUInt32(credentials[8..]))
            : throw new SocketException((int)SocketError.NotConnected);
    }
}
