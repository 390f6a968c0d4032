using System.Net;
using Microsoft.AspNetCore.Connections;

namespace KvmSwitch.Daemon.Guests;

/// <summary>A TCP connection to the guests' endpoint; a feature of its requests. Only that endpoint sets it.</summary>
internal sealed class GuestConnection(ConnectionContext connection, IPAddress peer)
{
    private volatile bool isAdmitted;

    public IPAddress Peer => peer;

    /// <summary>An agent with a certificate of ours speaks here.</summary>
    public bool IsAdmitted => isAdmitted;

    public void Admit() => isAdmitted = true;

    public void Abort(string why) => connection.Abort(new ConnectionAbortedException(why));
}

/// <summary>
/// Bounds what peers on the LAN can hold open: so many connections in all and for each address, and those that don't prove themselves end
/// soon. When it is full, the oldest unproven one makes room, so that a stranger can't keep guests out by holding on.
/// </summary>
internal sealed class GuestConnections(TimeProvider time)
{
    public const int MaxConnections = 32;
    public const int MaxForAddress = 16;

    /// <summary>To do the handshake and be admitted, or to enrol.</summary>
    public static readonly TimeSpan ProofTime = TimeSpan.FromSeconds(15);

    private readonly Lock gate = new();
    private readonly LinkedList<GuestConnection> open = [];

    public async Task RunAsync(ConnectionContext context, ConnectionDelegate next)
    {
        var peer = context.RemoteEndPoint is IPEndPoint remote ? remote.Address : IPAddress.None;
        var connection = new GuestConnection(context, peer);
        if (!TryEnter(connection))
        {
            connection.Abort("too many connections");
            return;
        }

        context.Features.Set(connection);
        try
        {
            await using var proof = time.CreateTimer(_ => EndUnproven(connection), null, ProofTime, Timeout.InfiniteTimeSpan);
            await next(context);
        }
        finally
        {
            lock (gate) open.Remove(connection);
        }
    }

    private static void EndUnproven(GuestConnection connection)
    {
        if (!connection.IsAdmitted) connection.Abort("no agent of ours spoke in time");
    }

    private bool TryEnter(GuestConnection connection)
    {
        GuestConnection? victim = null;
        lock (gate)
        {
            var ofAddress = open.Where(c => c.Peer.Equals(connection.Peer));
            if (ofAddress.Count() >= MaxForAddress) victim = ofAddress.FirstOrDefault(c => !c.IsAdmitted);
            else if (open.Count >= MaxConnections) victim = open.FirstOrDefault(c => !c.IsAdmitted);
            else
            {
                open.AddLast(connection);
                return true;
            }

            if (victim is null) return false;
            open.Remove(victim);
            open.AddLast(connection);
        }

        victim.Abort("it made room for a newer connection");
        return true;
    }
}
