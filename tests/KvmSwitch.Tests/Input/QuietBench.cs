using System.Runtime.InteropServices;
using KvmSwitch.Core;
using KvmSwitch.Linux.Input;
using KvmSwitch.Testing.Linux.Input;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Tests.Input;

/// <summary>A lent keyboard whose fakes don't allocate, so that what does is the product.</summary>
internal sealed class QuietBench : IDisposable
{
    // Down, report, up, report.
    public const int EventsPerRound = 4;

    private readonly Node _node = new();
    private readonly InputSource _source;
    private readonly InputRelay _relay;
    private readonly ManualWork _work = new();
    private readonly Clone _clone = new();

    public QuietBench(HotkeyListener hotkeys)
    {
        var device = new Device(DeviceId.Parse("desk"), DeviceClass.Hid, new DeviceRoute.Input(new InputMatch.ByPort(UsbPort.Parse("1-4"))), new(0, 1));
        _relay = new(device, new(_work, _ => Task.FromResult<IVirtualInput>(_clone), _ => { }, _ => { }));
        _source = new(1, _node, hotkeys, _relay.Hush) { Pumped = _relay.Pumped };
        _relay.Attach(_source);
        _work.Finish();
        _ = _relay.OfferAsync();
        _ = _relay.LendAsync(RelayBench.Machine);
    }

    public long Relayed => _clone.Written;

    public void Play(int rounds)
    {
        for (var i = 0; i < rounds; i++)
        {
            _node.IsReady = true;
            _source.Pump();
            _source.Pump();
        }
    }

    public void Dispose()
    {
        _source.Dispose();
        _relay.Dispose();
    }

    private sealed class Node : IEvdevNode
    {
        private readonly InputEvent[] _round = [new(1, 30, 1), InputEvent.Report, new(1, 30, 0), InputEvent.Report];

        public bool IsReady { get; set; }

        public InputNode Node1 { get; } = new("event1", "input1", "Keyboard", "", null, true, []);

        InputNode IEvdevNode.Node => Node1;

        public InputCapabilities Capabilities => FakeInputKernel.Keyboard;

        public SafeHandle Handle { get; } = new SafeFileHandle();

        public long Microtime => 0;

        public int Read(Span<InputEvent> events)
        {
            if (!IsReady) return 0;
            IsReady = false;
            _round.CopyTo(events);
            return _round.Length;
        }

        public bool Inject(ReadOnlySpan<InputEvent> events) => true;

        public GrabOutcome Grab() => GrabOutcome.Granted;

        public void Ungrab() => IsReady = false;

        public bool ReadKeys(KeySet keys)
        {
            keys.Clear();
            return true;
        }

        public bool PeekKeys(KeySet keys) => ReadKeys(keys);

        public uint ReadLeds() => 0;

        public bool TryReadAxis(ushort code, out int value)
        {
            value = 0;
            return false;
        }

        public void KeysOnly() => IsReady = false;

        public void Dispose() => Handle.Dispose();
    }

    private sealed class Clone : IVirtualInput
    {
        public long Written { get; private set; }

        public CloneSpec Spec { get; } = new("clone", "kvmswitch/desk/0", FakeInputKernel.Keyboard.ForClone());

        public string Event => "event9";

        public string Input => "input9";

        public string Path => "/dev/input/event9";

        public SafeHandle Handle { get; } = new SafeFileHandle();

        public bool Write(ReadOnlySpan<InputEvent> events)
        {
            Written += events.Length;
            return true;
        }

        public int Read(Span<InputEvent> events) => 0;

        public void GiveTo(uint user, uint group) => Written = 0;

        public void Dispose() => Handle.Dispose();
    }
}
