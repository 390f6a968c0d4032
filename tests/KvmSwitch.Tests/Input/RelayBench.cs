using KvmSwitch.Core;
using KvmSwitch.Linux.Input;
using KvmSwitch.Testing.Linux.Input;

namespace KvmSwitch.Tests.Input;

/// <summary>One relay with a keyboard and, if wanted, a mouse of the same device, without threads.</summary>
internal sealed class RelayBench : IDisposable
{
    public static readonly MachineId Machine = MachineId.Parse("windows");
    private readonly Dictionary<FakeInputDevice, InputSource> _sources = [];
    private int _number;

    public RelayBench()
    {
        var device = new Device(DeviceId.Parse("desk"), DeviceClass.Hid, new DeviceRoute.Input(new InputMatch.ByPort(UsbPort.Parse("1-4"))), new(0, 1));
        Relay = new(device, new(Work, spec => Task.FromResult(Kernel.Create(spec)), Close, Warnings.Add));
    }

    public ManualWork Work { get; } = new();

    public FakeInputKernel Kernel { get; } = new();

    public HotkeyListener Hotkeys { get; } = new();

    public InputRelay Relay { get; }

    public List<string> Warnings { get; } = [];

    /// <summary>What the host hears, of all nodes ever plugged in.</summary>
    public EventLog Host { get; } = new();

    /// <summary>What the host shows on whatever is plugged in.</summary>
    public LockLeds HostLeds { get; init; }

    /// <summary>The first clone, of the keyboard.</summary>
    public FakeClone Clone => Kernel.Clones.First();

    public FakeInputDevice Plug(InputCapabilities? capabilities = null)
    {
        var device = Kernel.Plug("Keyboard", "1-4", capabilities, Host);
        device.Set(HostLeds);
        Open(device);
        return device;
    }

    /// <summary>Listens to it, as the thread that reads input does when it was found.</summary>
    public void Open(FakeInputDevice device)
    {
        if (Kernel.Open(device.Node) is not { } node) return;
        var source = new InputSource(++_number, node, Hotkeys, Relay.Hush) { Pumped = Relay.Pumped };
        _sources.Add(device, source);
        Relay.Attach(source);
    }

    public void Offer()
    {
        Work.Finish();
        _ = Relay.OfferAsync();
        Work.Finish();
    }

    /// <summary>A keyboard that is lent.</summary>
    public FakeInputDevice PlugAndLend()
    {
        var keyboard = Plug();
        Offer();
        _ = Relay.LendAsync(Machine);
        return keyboard;
    }

    /// <summary>Reads what waits to be read: 64 events of each node and reading.</summary>
    public void Pump()
    {
        const int readings = 8;
        for (var i = 0; i < readings; i++)
        {
            foreach (var source in _sources.Values.Where(source => !source.Pump()).ToArray()) Close(source);
        }
    }

    public void Tap(FakeInputDevice keyboard, params int[] keys)
    {
        foreach (var key in keys) keyboard.Press(key);
        foreach (var key in keys.Reverse()) keyboard.Release(key);
        Pump();
    }

    public void Dispose()
    {
        foreach (var source in _sources.Values) source.Dispose();
        Relay.Dispose();
    }

    private void Close(InputSource source)
    {
        _sources.Remove(_sources.First(pair => ReferenceEquals(pair.Value, source)).Key);
        Relay.Detach(source);
        source.Dispose();
    }
}
