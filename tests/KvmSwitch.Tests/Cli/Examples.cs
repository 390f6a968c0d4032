using Google.Protobuf.WellKnownTypes;
using KvmSwitch.Proto.V1;
using Microsoft.Extensions.Time.Testing;

namespace KvmSwitch.Tests.Cli;

/// <summary>One small household of devices, told at a fixed moment.</summary>
internal static class Examples
{
    public static readonly DateTimeOffset Now = new(2026, 11, 22, 20, 24, 22, TimeSpan.Zero);

    public static readonly TimeZoneInfo Zone = TimeZoneInfo.CreateCustomTimeZone("test", TimeSpan.FromHours(1), "test", "test");

    public static TimeProvider Time()
    {
        var time = new FakeTimeProvider(Now);
        time.SetLocalTimeZone(Zone);
        return time;
    }

    public static State State() => new()
    {
        DaemonVersion = "0.1.0",
        Machines =
        {
            new Machine
            {
                Name = "win", Kind = Machine.Types.Kind.Managed, Power = Machine.Types.Power.Running, Pid = 4321,
                AgentLive = true, AgentVersion = "0.1.0", QemuVersion = "10.0.2",
            },
            new Machine { Name = "old", Kind = Machine.Types.Kind.External, Power = Machine.Types.Power.Crashed, Trouble = "QEMU ended by itself: could not open disk image" },
        },
        Devices =
        {
            new Device { Name = "keyboard", Label = "Keyboard", Route = "usb", Class = "hid", Owner = "win", Placement = "win", Detail = "1-4, 046d:c31c" },
            new Device
            {
                Name = "mouse", Route = "usb", Class = "hid", Owner = "win", Placement = "win",
                Until = Timestamp.FromDateTimeOffset(Now.AddSeconds(100)),
            },
            new Device
            {
                Name = "audio", Route = "usb", Class = "audio", Owner = "host", Placement = "absent",
                Trouble = "no device is plugged into port 1-5; plug it in, or change 'port' in the configuration",
            },
            new Device { Name = "stick", Route = "usb", Class = "storage", Owner = "win", Placement = "moving", Handoff = "h-17" },
        },
        Sets = { new DeviceSet { Name = "desk", Devices = { "keyboard", "mouse" } } },
    };

    public static Handoff Handoff() => new()
    {
        Id = "h-16", Gesture = "cli", Devices = { "keyboard", "mouse" }, From = { "host", "host" }, To = "win", Outcome = "done",
        Started = Timestamp.FromDateTimeOffset(Now), DurationMs = 412.34567, Uid = 1000,
        Steps =
        {
            new Handoff.Types.Step { Name = "attach", Device = "keyboard", StartMs = 0.4, DurationMs = 182.1 },
            new Handoff.Types.Step { Name = "confirm", Device = "keyboard", StartMs = 182.5, DurationMs = 229.8, Error = "late" },
        },
    };

    public static Handoff LostLease() => new()
    {
        Id = "h-17", Gesture = "lease", Devices = { "keyboard" }, From = { "win" }, To = "host", Outcome = "failed", Uid = -1,
        Started = Timestamp.FromDateTimeOffset(Now.AddSeconds(30)), DurationMs = 2103, Error = "the guest did not let go within 2 s",
    };

    public static MachineArguments Arguments() => new()
    {
        Program = "/usr/bin/qemu-system-x86_64", Arguments = { "-name", "win", "-device", "usb-kbd,id=it's", "-nodefaults" },
    };

    public static GuestList Guests() => new()
    {
        Guests =
        {
            new PairedGuest
            {
                Id = "3f09a1", Machine = "win", HostName = "DESKTOP\u001b[2J", Connected = true,
                Paired = Timestamp.FromDateTimeOffset(Now), Expires = Timestamp.FromDateTimeOffset(Now.AddDays(365)),
                HotkeyTroubles = { new PairedGuest.Types.HotkeyTrouble { Chord = "ctrl+alt+h", Reason = "another program\u001b[2J has it" } },
            },
            new PairedGuest { Id = "77", Machine = "old", Revoked = true },
        },
    };
}
