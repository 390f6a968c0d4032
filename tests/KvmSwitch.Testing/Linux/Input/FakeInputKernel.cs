using System.Collections.Concurrent;
using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Linux.Input;

namespace KvmSwitch.Testing.Linux.Input;

/// <summary>The input devices of a computer: physical ones that are plugged and unplugged, and virtual ones.</summary>
public sealed class FakeInputKernel : IInputKernel
{
    private static readonly ImmutableArray<ushort> AllKeys = [.. Enumerable.Range(1, 248).Select(code => (ushort)code)];
    private readonly Lock _gate = new();
    private readonly List<FakeInputDevice> _plugged = [];
    private readonly UeventHub _events = new();
    private int _last;

    /// <summary>A keyboard's keys and leds.</summary>
    public static InputCapabilities Keyboard { get; } = new()
    {
        Codes = ImmutableSortedDictionary<ushort, ImmutableArray<ushort>>.Empty
            .Add(EventType.Key, AllKeys).Add(EventType.Miscellaneous, [4]).Add(EventType.Led, [0, 1, 2]).Add(EventType.Repeat, [0, 1]),
    };

    /// <summary>A mouse with three buttons.</summary>
    public static InputCapabilities Mouse { get; } = new()
    {
        Codes = ImmutableSortedDictionary<ushort, ImmutableArray<ushort>>.Empty
            .Add(EventType.Key, [0x110, 0x111, 0x112]).Add(EventType.Relative, [0, 1, 8]),
    };

    public IUeventSource Events => _events;

    /// <summary>All clones that were made, in the order of their making, which is not that of their slots when several are made at once.</summary>
    public ConcurrentQueue<FakeClone> Clones { get; } = new();

    /// <summary>Names of nodes that were opened, in order.</summary>
    public ConcurrentQueue<string> Opened { get; } = new();

    /// <summary>Why no clone can be made; null: they can.</summary>
    public string? NoClones { get; set; }

    /// <summary>Why no node can be opened; null: they can.</summary>
    public string? NoNodes { get; set; }

    public FakeInputDevice Plug(string name, string? port = null, InputCapabilities? capabilities = null, EventLog? host = null, string phys = "", params string[] links)
    {
        FakeInputDevice device;
        lock (_gate)
        {
            var number = ++_last;
            var keys = capabilities ?? Keyboard;
            var node = new InputNode(
                $"event{number}", $"input{number}", name, phys, port is null ? null : UsbPort.Parse(port), keys.Of(EventType.Key).Any(code => code < 0x100), [.. links]);
            device = new(node, keys) { Host = host ?? new() };
            _plugged.Add(device);
        }

        Tell("add", device.Node.Input, device.Node.Event);
        return device;
    }

    /// <summary>udev is done with the node, which was there before.</summary>
    public void Link(FakeInputDevice device, string link)
    {
        lock (_gate) device.Node = device.Node with { Links = [.. device.Node.Links, link] };
        Tell("add", device.Node.Input, device.Node.Event);
    }

    public void Unplug(FakeInputDevice device)
    {
        lock (_gate) _plugged.Remove(device);
        device.Unplug();
        Tell("remove", device.Node.Input, device.Node.Event);
    }

    public ImmutableArray<InputNode> List()
    {
        lock (_gate)
        {
            return [.. _plugged.Select(device => device.Node)
                .Concat(Clones.Where(clone => !clone.IsDisposed).Select(clone => new InputNode(
                    clone.Event, clone.Input, clone.Spec.Name, clone.Spec.Phys, null, clone.Spec.Capabilities.Of(EventType.Key).Length > 0, [])))];
        }
    }

    public IEvdevNode? Open(InputNode node)
    {
        if (NoNodes is { } reason) throw new IOException(reason);
        Opened.Enqueue(node.Event);
        lock (_gate) return _plugged.FirstOrDefault(device => device.Node.Key == node.Key)?.Open();
    }

    public IVirtualInput Create(CloneSpec spec)
    {
        if (NoClones is { } reason) throw new IOException(reason);
        FakeClone clone;
        lock (_gate) clone = new(spec, ++_last);
        Clones.Enqueue(clone);
        Tell("add", clone.Input, clone.Event);
        return clone;
    }

    private void Tell(string action, string input, string name) => _events.Publish(
        new(action, "input", $"/devices/virtual/input/{input}/{name}"));
}
