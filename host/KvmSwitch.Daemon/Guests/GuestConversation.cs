using Grpc.Core;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon.Guests;

/// <summary>One link, from its welcome to its end. What it doesn't know it ignores: agents may be newer.</summary>
internal sealed class GuestConversation(
    GuestLink link, AgentInbox inbox, GuestRequests requests, IGuestListener listener, GuestNews news, TimeSpan silence, TimeProvider time)
{
    public const int MaxDevices = 64;

    private const int MaxText = 128;

    private static readonly TimeSpan WriteDeadline = TimeSpan.FromSeconds(5);

    // For the message that is on its way when the link ends.
    private static readonly TimeSpan FarewellDeadline = TimeSpan.FromSeconds(1);

    public static AgentInfo ReadInfo(Hello hello, string certificateId) => new(
        Text.Clean(hello.Version, MaxText), Text.Clean(hello.OperatingSystem, MaxText), certificateId, [.. hello.Abilities.Where(Enum.IsDefined)]);

    /// <exception cref="RpcException">More devices than anyone has, or one without a key.</exception>
    public static GuestView ReadDevices(Hello hello, TimeSpan now)
    {
        if (hello.Devices.Count > MaxDevices) throw TooManyDevices();
        return hello.Devices.Aggregate(GuestView.Empty, (view, device) => view.Present(Checked(device), now));
    }

    /// <summary>Returns when the link has ended; nothing of it runs on.</summary>
    public async Task<LinkEnd> RunAsync(IServerStreamWriter<HostMessage> outgoing, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var reading = ReadAsync(stop.Token);
        var writing = WriteAsync(outgoing, stop.Token);
        var end = await link.Ended;

        // The reason follows the last message: to cancel that would reset the stream, and the agent would never learn the reason.
        if (end.Code != StatusCode.ResourceExhausted) await Task.WhenAny(writing, Task.Delay(FarewellDeadline, time, stop.Token));
        await stop.CancelAsync();
        await Task.WhenAll(reading, writing);
        return end;
    }

    private static GuestDevice Checked(GuestDevice? device) => device switch
    {
        null or { Key.Length: 0 or > MaxText } => throw new RpcException(new Status(StatusCode.InvalidArgument, "the agent reported a device without a usable key")),
        { Serial.Length: > MaxText } or { Controller.Length: > MaxText } or { Port.Length: > MaxText } or { Product.Length: > MaxText } =>
            new GuestDevice(device)
            {
                Serial = Text.Clean(device.Serial, MaxText),
                Controller = Text.Clean(device.Controller, MaxText),
                Port = Text.Clean(device.Port, MaxText),
                Product = Text.Clean(device.Product, MaxText),
            },
        _ => device,
    };

    private static RpcException TooManyDevices() => new(new Status(StatusCode.ResourceExhausted, $"the agent reported more than {MaxDevices} devices"));

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (await inbox.NextAsync(silence, cancellationToken) is { } message)
            {
                if (link.Ended.IsCompleted) return;
                Take(message);
            }

            link.End(StatusCode.OK, "the agent closed the link");
        }
        catch (RpcException e)
        {
            link.End(e.StatusCode, e.Status.Detail);
        }
        catch (OperationCanceledException)
        {
            link.End(StatusCode.Cancelled, "the connection was lost");
        }
    }

    private void Take(AgentMessage message)
    {
        switch (message.MessageCase)
        {
            case AgentMessage.MessageOneofCase.Heartbeat:
                link.Beat();
                listener.Heartbeat(link.Machine, link.Session);
                link.Send(new HostMessage { HeartbeatReply = new() { Sequence = message.Heartbeat.Sequence } });
                break;
            case AgentMessage.MessageOneofCase.Sighting:
                Take(message.Sighting);
                break;
            case AgentMessage.MessageOneofCase.Request:
                requests.Take(message.Request);
                break;
            case AgentMessage.MessageOneofCase.EjectReply:
                link.Ejects.Take(message.EjectReply);
                break;
            case AgentMessage.MessageOneofCase.SessionEvent:
                news.Take(message.SessionEvent);
                break;
            case AgentMessage.MessageOneofCase.HotkeyReport:
                link.HotkeyTroubles = news.Take(message.HotkeyReport);
                break;
            case AgentMessage.MessageOneofCase.Hello:
                throw new RpcException(new Status(StatusCode.InvalidArgument, "the agent said hello twice"));
            default:
                break;
        }
    }

    private void Take(DeviceSighting sighting)
    {
        switch (sighting.Kind)
        {
            case DeviceSighting.Types.Kind.Present:
                var device = Checked(sighting.Device);
                if (link.DeviceCount >= MaxDevices && !link.Knows(device.Key)) throw TooManyDevices();
                link.Present(device);
                break;
            case DeviceSighting.Types.Kind.Gone:
                link.Gone(Checked(sighting.Device).Key);
                break;
            default:
                break;
        }
    }

    private async Task WriteAsync(IServerStreamWriter<HostMessage> outgoing, CancellationToken cancellationToken)
    {
        // Ending the link ends the write. To cancel it here would also abort the reading, which then tells another reason.
        using var patience = new MovingDeadline(time, () => link.End(StatusCode.ResourceExhausted, "the agent doesn't read what the host sends"));
        try
        {
            await foreach (var message in link.OutgoingAsync(cancellationToken))
            {
                patience.Set(WriteDeadline);
                await outgoing.WriteAsync(message, cancellationToken);
                patience.Clear();
                if (link.Ended.IsCompleted) return;
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or InvalidOperationException)
        {
            link.End(StatusCode.Cancelled, "the connection was lost");
        }
    }
}
