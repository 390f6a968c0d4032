using System.Collections.Concurrent;
using Grpc.Core;
using Grpc.Net.Client;
using KvmSwitch.Proto.V1;
using KvmSwitch.Testing.Qmp;
using KvmSwitch.Tests.Guests;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>A guest whose agent sees what its QEMU has plugged in, as a real one does, until it is told to close its eyes.</summary>
internal sealed class GuestWithEyes(GrpcChannel channel, FakeQemu qemu) : IAsyncDisposable
{
    private static readonly TimeSpan Blink = TimeSpan.FromMilliseconds(3);

    private readonly TestAgent _agent = new(channel);
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _sending = new(1);
    private readonly ConcurrentDictionary<string, GuestDevice> _seen = new(StringComparer.Ordinal);
    private Task _looking = Task.CompletedTask;
    private ulong _requests;

    /// <summary>Devices that it doesn't see.</summary>
    public HashSet<string> Blind { get; } = new(StringComparer.Ordinal);

    /// <summary>Its agent can eject; a test answers for it.</summary>
    public bool CanEject { get; init; }

    /// <summary>What it answers to an eject while it waits for the answer to a request of its own.</summary>
    public string Objection { get; set; } = "";

    public async Task GreetAsync()
    {
        var hello = TestAgent.DefaultHello();
        if (CanEject) hello.Abilities.Add(Ability.Eject);
        await _agent.SendAsync(new() { Hello = hello });
        await _agent.NextAsync(HostMessage.MessageOneofCase.Welcome);
        _looking = LookAsync();
    }

    public async Task BeatAsync()
    {
        await _sending.WaitAsync();
        try
        {
            await _agent.SyncAsync();
        }
        finally
        {
            _sending.Release();
        }
    }

    /// <summary>Waits until the host has been told that the device is there.</summary>
    public async Task SawAsync(string id)
    {
        using var late = new CancellationTokenSource(TestAgent.Patience);
        using var timer = new PeriodicTimer(Blink);
        while (!_seen.ContainsKey(id)) await timer.WaitForNextTickAsync(late.Token);
        await BeatAsync();
    }

    /// <summary>Asks the host, and returns its answer's error; empty when it did so.</summary>
    public async Task<string> AskAsync(GuestAction.Types.Verb verb, params string[] targets)
    {
        var action = new GuestAction { Verb = verb };
        action.Targets.Add(targets);
        var id = ++_requests;
        await SendAsync(new() { Request = new() { Id = id, Action = action, Gesture = "hotkey" } });
        while (true)
        {
            var message = await _agent.NextAsync();
            if (message.MessageCase == HostMessage.MessageOneofCase.Eject) await AnswerAsync(message.Eject, Objection);
            if (message.MessageCase == HostMessage.MessageOneofCase.Reply && message.Reply.Id == id) return message.Reply.Ok ? "" : message.Reply.Error;
        }
    }

    /// <summary>Waits until the host asks to eject something, and answers; an empty objection lets it go.</summary>
    /// <returns>The key of what was asked for.</returns>
    public async Task<string> AnswerEjectAsync(string objection)
    {
        var asked = (await _agent.NextAsync(HostMessage.MessageOneofCase.Eject)).Eject;
        await AnswerAsync(asked, objection);
        return asked.Key;
    }

    /// <summary>Reads until the host tells a state that fits.</summary>
    public async Task<GuestState> StateAsync(Func<GuestState, bool> fits)
    {
        while (true)
        {
            var state = (await _agent.NextAsync(HostMessage.MessageOneofCase.State)).State;
            if (fits(state)) return state;
        }
    }

    public async Task<Status> EndAsync()
    {
        await CloseEyesAsync();
        return await _agent.EndAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await CloseEyesAsync();
        _agent.Dispose();
        _stop.Dispose();
        _sending.Dispose();
    }

    private async Task CloseEyesAsync()
    {
        await _stop.CancelAsync();
        await _looking;
    }

    private async Task LookAsync()
    {
        using var timer = new PeriodicTimer(Blink);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                var there = qemu.Devices.Values.Where(device => device.Properties["serial"] is not null && !Blind.Contains(device.Id)).ToArray();
                foreach (var device in there.Where(device => !_seen.ContainsKey(device.Id)))
                    {
                    await TellAsync(Describe(device), gone: false);
                    _seen[device.Id] = Describe(device);
                }

                foreach (var id in _seen.Keys.Except(there.Select(device => device.Id)).ToArray())
                {
                    await TellAsync(_seen[id], gone: true);
                    _seen.TryRemove(id, out _);
                }
            }
        }
        catch (Exception end) when (end is OperationCanceledException or RpcException or InvalidOperationException or IOException)
        {
            // The host ended the link, or the test did: what is sighted now reaches nobody.
            Assert.NotNull(end);
        }
    }

    private Task AnswerAsync(EjectRequest asked, string objection) =>
        SendAsync(new() { EjectReply = new() { Id = asked.Id, Ok = objection.Length == 0, Error = objection } });

    private Task TellAsync(GuestDevice device, bool gone) => SendAsync(new()
    {
        Sighting = new() { Kind = gone ? DeviceSighting.Types.Kind.Gone : DeviceSighting.Types.Kind.Present, Device = device },
    });

    private async Task SendAsync(AgentMessage message)
    {
        await _sending.WaitAsync();
        try
        {
            await _agent.SendAsync(message);
        }
        finally
        {
            _sending.Release();
        }
    }

    private static GuestDevice Describe(FakeDevice device) => new()
    {
        Key = $"{device.Properties["bus"]}-{device.Properties["port"]}",
        VendorId = 0x0627,
        ProductId = 1,
        Serial = (string)device.Properties["serial"]!,
        Port = (string)device.Properties["port"]!,
        Ready = true,
    };
}
