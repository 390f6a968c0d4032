using Grpc.Core;
using Grpc.Net.Client;
using KvmSwitch.Proto.V1;
using Xunit;

namespace KvmSwitch.Tests.Guests;

/// <summary>An agent that does exactly what a test says.</summary>
internal sealed class TestAgent(GrpcChannel channel) : IDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly AsyncDuplexStreamingCall<AgentMessage, HostMessage> call = new Guest.GuestClient(channel).Link();

    public static Hello DefaultHello() => new()
    {
        Version = "1.2",
        OperatingSystem = "Test OS",
        Abilities = { Ability.Sightings, Ability.Hotkeys, Ability.Shutdown },
    };

    public static GuestDevice Keyboard(string port = "3", bool ready = true) => new()
    {
        Key = $"1-{port}",
        VendorId = 0x046d,
        ProductId = 0xc31c,
        Serial = "A1",
        Controller = "0000:00:04.0",
        Port = port,
        Ready = ready,
    };

    public Task SendAsync(AgentMessage message) => call.RequestStream.WriteAsync(message).WaitAsync(Patience);

    public Task BeatAsync(ulong sequence) => SendAsync(new() { Heartbeat = new() { Sequence = sequence } });

    public Task SightAsync(GuestDevice device, bool gone = false) => SendAsync(new()
    {
        Sighting = new() { Kind = gone ? DeviceSighting.Types.Kind.Gone : DeviceSighting.Types.Kind.Present, Device = device },
    });

    /// <summary>Returns when the host has taken all that was sent so far.</summary>
    public async Task SyncAsync()
    {
        await BeatAsync(987654321);
        while ((await NextAsync(HostMessage.MessageOneofCase.HeartbeatReply)).HeartbeatReply.Sequence != 987654321)
        {
        }
    }

    public Task CloseAsync() => call.RequestStream.CompleteAsync().WaitAsync(Patience);

    public async Task<HostMessage> NextAsync()
    {
        Assert.True(await call.ResponseStream.MoveNext(default).WaitAsync(Patience), "the host ended the link");
        return call.ResponseStream.Current;
    }

    public async Task<HostMessage> NextAsync(HostMessage.MessageOneofCase kind)
    {
        while (true)
        {
            if (await NextAsync() is { } message && message.MessageCase == kind) return message;
        }
    }

    /// <summary>Reads on until the host ends the link.</summary>
    public async Task<Status> EndAsync()
    {
        try
        {
            while (await call.ResponseStream.MoveNext(default).WaitAsync(Patience))
            {
            }

            return call.GetStatus();
        }
        catch (RpcException e)
        {
            return e.Status;
        }
    }

    public void Dispose()
    {
        call.Dispose();
        channel.Dispose();
    }
}
