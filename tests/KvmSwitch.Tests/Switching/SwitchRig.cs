using System.Collections.Immutable;
using KvmSwitch.Core;
using KvmSwitch.Testing.Switching;
using Xunit;

namespace KvmSwitch.Tests.Switching;

/// <summary>A Switcher on a FakeWorld, with agents that beat as told, driven in small steps of fake time.</summary>
internal sealed class SwitchRig : IAsyncDisposable
{
    public static readonly Device Keyboard = Usb("keyboard", DeviceClass.Hid, "1-4.1", 1);
    public static readonly Device Trackball = Usb("trackball", DeviceClass.Hid, "1-4.2", 2);
    public static readonly Device Disk = Usb("disk", DeviceClass.Storage, "2-1", 3);
    public static readonly Device Relayed = new(DeviceId.Parse("relayed"), DeviceClass.Hid, new DeviceRoute.Input(new InputMatch.ByPort(UsbPort.Parse("1-9"))), new(0, 5));
    public static readonly Device Pad = new(DeviceId.Parse("pad"), DeviceClass.Other, new DeviceRoute.Virtual("usb-tablet"), new(0, 4));
    public static readonly MachineId A = MachineId.Parse("alpha");
    public static readonly MachineId B = MachineId.Parse("beta");

    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(500);
    private readonly Dictionary<MachineId, long> _beating = [];
    private readonly List<IAsyncDisposable> _abandoned = [];
    private long _sessions;
    private TimeSpan _sinceBeat;

    public SwitchRig(params Device[] devices)
    {
        Devices = devices.Length == 0 ? [Keyboard, Trackball, Disk, Pad] : [.. devices];
        World = new(Clock, Devices, [A, B]);
        (Process, Switcher) = NewLife();
    }

    public JumpingClock Clock { get; } = new();

    public FakeWorld World { get; }

    public WorldProcess Process { get; private set; }

    public Switcher Switcher { get; private set; }

    public ImmutableArray<Device> Devices { get; set; }

    public static async Task<SwitchRig> StartedAsync(params Device[] devices)
    {
        var rig = new SwitchRig(devices);
        await rig.StartAsync();
        await rig.AgentUpAsync(A);
        await rig.AgentUpAsync(B);
        return rig;
    }

    public Task StartAsync() => DriveAsync(Switcher.StartAsync([.. new[] { A, B }.Where(World.IsRunning)]));

    /// <summary>The daemon is killed, and a new one starts. Agents connect anew if they are up.</summary>
    public async Task RestartAsync()
    {
        Process.Kill();
        _abandoned.Add(Switcher);
        (Process, Switcher) = NewLife();
        await StartAsync();
        foreach (var machine in _beating.Keys.ToArray()) AgentUp(machine);
        await SettleAsync();
    }

    public async Task AgentUpAsync(MachineId machine)
    {
        AgentUp(machine);
        await UntilAsync(() => Switcher.Current.Find(machine)!.AgentLive, $"the agent of {machine} is live");
    }

    public long AgentUp(MachineId machine)
    {
        _beating[machine] = ++_sessions;
        Switcher.AgentConnected(machine, _sessions);
        Switcher.Heartbeat(machine, _sessions);
        return _sessions;
    }

    public void AgentSilent(MachineId machine) => _beating.Remove(machine);

    public Task<Handoff> Give(MachineId to, params Device[] devices) =>
        Switcher.RequestAsync(new([.. devices.Select(device => device.Id)], to, Gesture.Cli));

    public Task<Handoff> GiveFor(TimeSpan time, MachineId to, params Device[] devices) =>
        Switcher.RequestAsync(new([.. devices.Select(device => device.Id)], to, Gesture.Cli) { TimeLimit = time });

    public Task<Handoff> Take(params Device[] devices) =>
        Switcher.RequestAsync(new([.. devices.Select(device => device.Id)], Owner.Host, Gesture.Cli));

    public Task<Handoff> TakeAll() => Take([.. Devices]);

    /// <summary>Lets fake time pass until the task ends, and hands on how it ended.</summary>
    public async Task<T> DriveAsync<T>(Task<T> task)
    {
        await UntilAsync(() => task.IsCompleted, "the answer comes");
        return await task;
    }

    public async Task DriveAsync(Task task)
    {
        await UntilAsync(() => task.IsCompleted, "the call ends");
        await task;
    }

    public async Task<SwitchException> RefusedAsync(Task<Handoff> task) =>
        await Assert.ThrowsAsync<SwitchException>(() => DriveAsync(task));

    public async Task UntilAsync(Func<bool> condition, string what, double fakeSeconds = 300)
    {
        var start = Clock.GetTimestamp();
        await SettleAsync();
        while (!condition())
        {
            if (Clock.GetElapsedTime(start).TotalSeconds > fakeSeconds) Assert.Fail($"waited {fakeSeconds} s until {what}; {Describe()}");
            await StepAsync();
        }
    }

    /// <summary>Until so many calls went wrong as scripted. No fake time passes.</summary>
    public async Task HitAsync(int times = 1)
    {
        for (var deadline = Environment.TickCount64 + 5000; World.Faults.Hits < times;)
        {
            Assert.True(Environment.TickCount64 < deadline, $"no call went wrong as scripted; {Describe()}");
            await SettleAsync();
        }

        await SettleAsync();
    }

    public async Task PassAsync(double fakeSeconds)
    {
        for (var start = Clock.GetTimestamp(); Clock.GetElapsedTime(start) < TimeSpan.FromSeconds(fakeSeconds);) await StepAsync();
    }

    public async Task StepAsync()
    {
        _sinceBeat += Tick;
        if (_sinceBeat >= Beat)
        {
            _sinceBeat = TimeSpan.Zero;
            foreach (var (machine, session) in _beating) Switcher.Heartbeat(machine, session);
            await SettleAsync();
        }

        Clock.Advance(Tick);
        await SettleAsync();
    }

    /// <summary>
    /// Lets everything run that doesn't wait for fake time: until the thread pool has nothing to do. Bounded, should something
    /// else keep it busy.
    /// </summary>
    public static Task SettleAsync()
    {
        var self = Thread.CurrentThread.IsThreadPoolThread ? 1 : 0;
        var deadline = Environment.TickCount64 + 1000;
        for (var quiet = 0; quiet < 3 && Environment.TickCount64 < deadline;)
        {
            ThreadPool.GetMaxThreads(out var most, out _);
            ThreadPool.GetAvailableThreads(out var free, out _);
            quiet = ThreadPool.PendingWorkItemCount == 0 && most - free <= self ? quiet + 1 : 0;
            if (quiet == 0) Thread.Yield();
        }

        return Task.CompletedTask;
    }

    public DeviceView See(Device device) => Switcher.Current.Find(device.Id)!;

    public void AssertSound()
    {
        Assert.Empty(World.Violations);
        Assert.Equal(0, World.OpenDescriptors);
    }

    public void AssertHome(params Device[] devices)
    {
        foreach (var device in devices)
        {
            Assert.True(World.IsHome(device.Id), $"{device.Id} is not home; {Describe()}");
            Assert.Equal(Whereabouts.Host, See(device).Placement.Where);
            Assert.Equal(Owner.Host, See(device).Owner);
            Assert.False(World.Saved.ContainsKey(device.Id), $"{device.Id} is still saved as given");
        }
    }

    public void AssertIn(MachineId machine, params Device[] devices)
    {
        foreach (var device in devices)
        {
            Assert.Equal([machine], World.HoldersOf(device.Id));
            Assert.Equal(new Placement(Whereabouts.Machine, machine), See(device).Placement);
            Assert.Equal(machine, See(device).Owner.Machine);
            Assert.True(World.Saved.TryGetValue(device.Id, out var saved) && saved.Owner == machine, $"{device.Id} is not saved as given");
        }
    }

    public string Describe() => string.Join("; ", Devices.Select(device =>
        $"{device.Id} in [{string.Join(",", World.HoldersOf(device.Id))}] home={World.IsHome(device.Id)} owner={See(device).Owner} " +
        $"placement={See(device).Placement.Where} handoff={See(device).Handoff} trouble={See(device).Trouble}")) +
        $"; saved: {string.Join(", ", World.Saved.Select(pair => $"{pair.Key}={pair.Value.Owner}"))}; loop {Switcher.Ended.Status}" +
        $"; violations: {string.Join(", ", World.Violations)}";

    public async ValueTask DisposeAsync()
    {
        World.Faults.Stop();
        var closing = Switcher.DisposeAsync().AsTask();
        for (var steps = 0; steps < 2000 && !closing.IsCompleted; steps++) await StepAsync();
    }

    private (WorldProcess Process, Switcher Switcher) NewLife()
    {
        var process = World.StartProcess();
        return (process, new(new(Devices, [A, B], LeaseTimes.Default), process.Edges([A, B]), process));
    }

    private static Device Usb(string name, DeviceClass kind, string port, int guestPort) =>
        new(DeviceId.Parse(name), kind, new DeviceRoute.Usb(new UsbMatch.ByPort(UsbPort.Parse(port))), new(0, guestPort));
}
