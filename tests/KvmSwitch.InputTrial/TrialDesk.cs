using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Linux.Input;

namespace KvmSwitch.InputTrial;

/// <summary>
/// A keyboard, the host that uses it and a QEMU that holds its clone, all on the real kernel: the keyboard is a virtual device that
/// isn't marked as ours, the other two are readers of event nodes.
/// </summary>
internal sealed class TrialDesk : IAsyncDisposable
{
    private const string Link = "kvmswitch-trial-event-kbd";
    private static readonly string LinkPath = $"/dev/input/by-path/{Link}";
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private readonly LinuxInput _kernel = new(KernelPaths.Real);
    private readonly UeventMonitor _events;
    private IVirtualInput? _keyboard;

    private TrialDesk(UeventMonitor events) => _events = events;

    public static Device Device { get; } = new(
        DeviceId.Parse("trial"), DeviceClass.Hid, new DeviceRoute.Input(new InputMatch.ByLink(Link)), new(0, 1));

    public static MachineId Machine { get; } = MachineId.Parse("machine");

    public IVirtualInput Keyboard => _keyboard!;

    /// <summary>As a desktop hears it.</summary>
    public NodeReader Host { get; private set; } = null!;

    /// <summary>As QEMU hears the clone.</summary>
    public NodeReader Guest { get; private set; } = null!;

    public HostInput Input { get; private set; } = null!;

    public InputHostSide Side => new(Input);

    public static async Task<TrialDesk> StartAsync()
    {
        var desk = new TrialDesk(UeventMonitor.Start(KernelPaths.Real));
        desk.Plug();
        desk.Input = await HostInput.StartAsync(desk._kernel, desk._events, [Device], TimeProvider.System, Console.WriteLine, CancellationToken.None)
            .WaitAsync(Deadline);
        using var attachment = await desk.Side.PrepareAsync(Device, new(Machine, 1, 65534, 65534, 1), force: false, CancellationToken.None).WaitAsync(Deadline);
        desk.Guest = desk.Read(Path.GetFileName(attachment.Parts[0].Properties["evdev"]));
        return desk;
    }

    /// <summary>Plugs the keyboard in. Its link comes after it, and an event after that, as from udev.</summary>
    public void Plug()
    {
        var codes = ImmutableSortedDictionary<ushort, ImmutableArray<ushort>>.Empty
            .Add(EventType.Key, [.. Enumerable.Range(1, 248).Select(code => (ushort)code)])
            .Add(EventType.Led, [0, 1, 2]);
        _keyboard = _kernel.Create(new("Trial keyboard", "trial/input0", new() { Codes = codes }));
        Directory.CreateDirectory(Path.GetDirectoryName(LinkPath)!);
        File.Delete(LinkPath);
        File.CreateSymbolicLink(LinkPath, $"../{Keyboard.Event}");
        File.WriteAllText($"/sys/class/input/{Keyboard.Event}/uevent", "change");
        Host = Read(Keyboard.Event);
    }

    public void Unplug()
    {
        Keyboard.Dispose();
        Host.Dispose();
    }

    public void Press(int code) => Keyboard.Write([new(EventType.Key, (ushort)code, 1), InputEvent.Report]);

    public void Release(int code) => Keyboard.Write([new(EventType.Key, (ushort)code, 0), InputEvent.Report]);

    public Task LendAsync() => Side.LendAsync(Device, Machine, CancellationToken.None).WaitAsync(Deadline);

    public Task RecallAsync() => Side.RecallAsync(Device, CancellationToken.None).WaitAsync(Deadline);

    public async Task<bool> SeesAsync(HostView view)
    {
        using var pulse = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        for (var i = 0; i < 1000; i++)
        {
            if (await Side.ObserveAsync(Device, CancellationToken.None).WaitAsync(Deadline) == view) return true;
            await pulse.WaitForNextTickAsync();
        }

        return false;
    }

    public async ValueTask DisposeAsync()
    {
        await Input.DisposeAsync();
        await _events.DisposeAsync();
        Guest.Dispose();
        Unplug();
        File.Delete(LinkPath);
    }

    private NodeReader Read(string name) => new(_kernel.Open(_kernel.List().Single(node => node.Event == name))
        ?? throw new IOException($"{name} has gone"));
}
