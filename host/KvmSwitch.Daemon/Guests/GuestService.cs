using System.Net;
using Grpc.Core;
using KvmSwitch.Core;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon.Guests;

/// <summary>How agents keep their lease.</summary>
/// <param name="HeartbeatInterval">How often the agent is to send a heartbeat.</param>
/// <param name="Lease">The silence after which the host brings devices home.</param>
/// <param name="Version">The daemon's, for people.</param>
internal sealed record GuestLinkSettings(TimeSpan HeartbeatInterval, TimeSpan Lease, string Version);

/// <summary>The gRPC service for agents: who they are, then their conversation.</summary>
internal sealed class GuestService(
    GuestTrust trust, GuestLinks links, IGuestListener listener, GuestLinkSettings settings, IHostApplicationLifetime daemon,
    TimeProvider time, ILogger<GuestService> log) : Guest.GuestBase
{
    private static readonly TimeSpan HelloDeadline = TimeSpan.FromSeconds(5);

    // A stranger who knocks all day fills no log.
    private readonly TokenBucket refusalsLogged = new(10, 0.1, time);
    private int refusalsUnlogged;

    public override async Task<EnrolReply> Enrol(EnrolRequest request, ServerCallContext context)
    {
        try
        {
            var peer = Connection(context)?.Peer ?? IPAddress.None;
            var reply = await trust.EnrolAsync(request, peer, context.CancellationToken);
            log.Paired(Text.Clean(request.HostName, 64), Peer(context), reply.Machine);
            return reply;
        }
        catch (RpcException e)
        {
            LogRefusal(context, e.Status);
            throw;
        }
    }

    public override async Task Link(
        IAsyncStreamReader<AgentMessage> requestStream, IServerStreamWriter<HostMessage> responseStream, ServerCallContext context)
    {
        LinkEnd end;
        try
        {
            var certificate = context.GetHttpContext().Connection.ClientCertificate;
            var guest = trust.Authenticate(certificate);
            if (!links.MayConnect(guest.Machine))
                throw new RpcException(new Status(StatusCode.ResourceExhausted, $"agents of {guest.Machine} connect too often: does more than one run?"));
            Connection(context)?.Admit();
            using var inbox = new AgentInbox(requestStream, time);
            var link = await GreetAsync(inbox, guest, context.CancellationToken);
            links.Open(link, Welcome(guest.Machine));
            try
            {
                // It may have been revoked while it said hello; from here on, revoking finds the link.
                trust.Authenticate(certificate);
                end = await ConverseAsync(link, inbox, responseStream, context);
            }
            finally
            {
                links.Close(link);
            }
        }
        catch (RpcException e)
        {
            LogRefusal(context, e.Status);
            throw;
        }

        if (end.Code != StatusCode.OK) throw new RpcException(new Status(end.Code, end.Why));
    }

    // Long after the lease: a guest that stalled for a moment needs no new link, only a new lease.
    private TimeSpan Silence => TimeSpan.FromTicks(Math.Max(5 * settings.Lease.Ticks, TimeSpan.FromSeconds(10).Ticks));

    private Welcome Welcome(MachineId machine) => new()
    {
        Version = settings.Version,
        Machine = machine.Value,
        HeartbeatIntervalMs = (uint)settings.HeartbeatInterval.TotalMilliseconds,
        LeaseMs = (uint)settings.Lease.TotalMilliseconds,
        Buses = { GuestDevice.Types.Bus.Pci, GuestDevice.Types.Bus.Scsi },
    };

    private async Task<GuestLink> GreetAsync(AgentInbox inbox, GuestPrincipal guest, CancellationToken cancellationToken)
    {
        if (await inbox.NextAsync(HelloDeadline, cancellationToken) is not { MessageCase: AgentMessage.MessageOneofCase.Hello, Hello: var hello })
            throw new RpcException(new Status(StatusCode.InvalidArgument, "the agent did not begin with hello"));
        var view = GuestConversation.ReadDevices(hello, time.GetElapsedTime(0));
        var info = GuestConversation.ReadInfo(hello, guest.CertificateId);
        return new(links.NextSession(), guest.Machine, info, view, links.PublishedFor(guest.Machine), settings.Lease, time);
    }

    private async Task<LinkEnd> ConverseAsync(
        GuestLink link, AgentInbox inbox, IServerStreamWriter<HostMessage> outgoing, ServerCallContext context)
    {
        log.AgentConnected(link.Machine, Peer(context), link.Session, link.Info.Version, link.Info.OperatingSystem, link.Info.CertificateId);
        var requests = new GuestRequests(link, listener, time, log, daemon.ApplicationStopping);
        var conversation = new GuestConversation(link, inbox, requests, listener, new(link.Machine, time, log), Silence, time);
        await using var stopping = daemon.ApplicationStopping.Register(() => link.End(StatusCode.Unavailable, "the host's daemon stops"));
        listener.AgentConnected(link.Machine, link.Session);
        listener.Heartbeat(link.Machine, link.Session);
        LinkEnd? end = null;
        try
        {
            end = await conversation.RunAsync(outgoing, context.CancellationToken);
            return end;
        }
        finally
        {
            links.Close(link);
            listener.AgentGone(link.Machine, link.Session);
            log.AgentGone(link.Machine, Peer(context), link.Session, end?.Code ?? StatusCode.Internal, end?.Why ?? "the daemon failed");
            // Waiting for it to take the farewell would be in vain.
            if (end?.Code == StatusCode.ResourceExhausted) Connection(context)?.Abort(end.Why);
        }
    }

    private static GuestConnection? Connection(ServerCallContext context) => context.GetHttpContext().Features.Get<GuestConnection>();

    private static string Peer(ServerCallContext context)
    {
        var connection = context.GetHttpContext().Connection;
        return $"{connection.RemoteIpAddress}:{connection.RemotePort}";
    }

    private void LogRefusal(ServerCallContext context, Status status)
    {
        if (refusalsLogged.TryTake()) log.Refused(Peer(context), status.StatusCode, status.Detail, Interlocked.Exchange(ref refusalsUnlogged, 0));
        else Interlocked.Increment(ref refusalsUnlogged);
    }
}
