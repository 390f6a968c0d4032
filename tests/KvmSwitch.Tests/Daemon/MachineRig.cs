using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Linux.Input;
using KvmSwitch.Testing.Qmp;
using KvmSwitch.Tests.Guests;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>One machine of someone else's, whose QEMU is a fake.</summary>
internal sealed class MachineRig : IAsyncDisposable
{
    public static readonly MachineId Win = MachineId.Parse("win");
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly Folder _folder = new();
    private readonly RecordingLog _log = new();

    private MachineRig(FakeQemuOptions? options)
    {
        Qemu = FakeQemu.Start(Socket, options);
        Runtime = new(
            new ExternalMachine(Win, Socket, ["xhci.0"], 8), Socket, Told, new GuestLinks(Time), Time, _log);
    }

    /// <summary>Deadlines pass only when a test says so.</summary>
    public FakeTimeProvider Time { get; } = new(DateTimeOffset.UtcNow);

    public FakeQemu Qemu { get; }

    public MachineRuntime Runtime { get; }

    public RecordedMachine Told { get; } = new();

    public IEnumerable<string> Warnings => _log.Lines.Where(line => line.Level == LogLevel.Warning).Select(line => line.Text.Trim());

    private string Socket => _folder["qmp.sock"];

    public static MachineRig Create(FakeQemuOptions? options = null) => new(options);

    public static async Task<MachineRig> ConnectedAsync(FakeQemuOptions? options = null, bool wantsLeds = false)
    {
        var rig = new MachineRig(options);
        rig.Told.WantsLeds = wantsLeds;
        Assert.True(await rig.Runtime.TryConnectAsync(CancellationToken.None).WaitAsync(Patience));
        await rig.Told.WaitForAsync("up");
        return rig;
    }

    public static Device Keyboard { get; } = Virtual("keyboard", 1);

    public static Device Virtual(string name, byte port) =>
        new(DeviceId.Parse(name), DeviceClass.Hid, new DeviceRoute.Virtual("usb-kbd"), new(0, port));

    public static string IdOf(Device device) => QemuDevices.QemuId(device.Id);

    public static Attachment Emulated(Device device) => new(
        device, [new(0, "usb-kbd", ImmutableDictionary<string, string>.Empty.Add("serial", "A1"), null, new(null, "A1"))]);

    public static Attachment ByDescriptor(Device device, SafeHandle descriptor) =>
        new(device, [new(0, "usb-host", ImmutableDictionary<string, string>.Empty, descriptor, new(null, null))]);

    public static JsonObject At(int port) => new() { ["bus"] = "xhci.0", ["port"] = $"{port}" };

    public SafeHandle OpenNode() => File.OpenHandle(_folder.Write("node", "usb"), FileMode.Open, FileAccess.ReadWrite);

    public Task AttachAsync(Device device) => Runtime.AttachAsync(Emulated(device), CancellationToken.None).WaitAsync(Patience);

    public Task DetachAsync(Device device) => Runtime.DetachAsync(device, CancellationToken.None).WaitAsync(Patience);

    public async Task<string[]> ObserveAsync() =>
        [.. (await Runtime.ObserveAsync(CancellationToken.None).WaitAsync(Patience)).Where(held => !held.Value.IsStale).Select(held => held.Key.Value).Order(StringComparer.Ordinal)];

    /// <summary>Lets time pass in small steps until it ends; fails when it doesn't within a minute of that time.</summary>
    public async Task EndsInTimeAsync(Task task)
    {
        for (var i = 0; i < 120 && !task.IsCompleted; i++)
        {
            Time.Advance(TimeSpan.FromMilliseconds(500));
            await Task.WhenAny(task, Task.Delay(2, CancellationToken.None));
        }

        Assert.True(task.IsCompleted, "it hangs");
        await task;
    }

    public async ValueTask DisposeAsync()
    {
        await Runtime.DisposeAsync();
        await Qemu.DisposeAsync();
        _folder.Dispose();
        Assert.DoesNotContain(_log.Lines, line => line.Level >= LogLevel.Error);
        _log.Dispose();
    }
}

/// <summary>Notes what a machine tells.</summary>
internal sealed class RecordedMachine : IMachineListener
{
    private readonly Channel<string> _told = Channel.CreateUnbounded<string>();

    public void MachineUp(MachineId machine) => _told.Writer.TryWrite("up");

    public void GuestLost(MachineId machine, string gesture) => _told.Writer.TryWrite($"lost {gesture}");

    public void DevicesChanged(MachineId machine) => _told.Writer.TryWrite("devices");

    public void StatusChanged(MachineId machine) => _told.Writer.TryWrite("status");

    /// <summary>What is said of a guest that gives no sign of life.</summary>
    public bool GivesUp { get; set; }

    public bool IsGivenUp(MachineId machine) => GivesUp;

    public bool WantsLeds { get; set; }

    public void LedsChanged(MachineId machine, LockLeds? leds) => _told.Writer.TryWrite(leds is { } lit ? $"leds {lit}" : "leds unknown");

    public async Task WaitForAsync(string expected)
    {
        while (await _told.Reader.ReadAsync().AsTask().WaitAsync(MachineRig.Patience) != expected)
        {
        }
    }
}
