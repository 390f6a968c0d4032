using KvmSwitch.Core;
using KvmSwitch.Linux.Input;
using KvmSwitch.Testing.Linux.Input;
using Xunit;

namespace KvmSwitch.Tests.Input;

/// <summary>The whole of it, with its threads, on fakes behind real pipes.</summary>
public sealed class HostInputTests : IAsyncLifetime
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private static readonly MachineId Machine = MachineId.Parse("windows");
    private static readonly Recipient Qemu = new(Machine, 1234, 64055, 64056, 1 << 30);
    private static readonly Device Desk = Named("desk", new InputMatch.ByPort(UsbPort.Parse("1-4")));
    private static readonly Device Pad = Named("pad", new InputMatch.ByLink("usb-Pad-event-mouse"));
    private readonly FakeInputKernel _kernel = new();
    private readonly System.Collections.Concurrent.ConcurrentQueue<string> _warnings = new();
    private HostInput? _input;
    private InputHostSide? _side;

    private HostInput Input => _input ?? throw new InvalidOperationException("not started");

    private InputHostSide Side => _side ??= new(Input);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_input is not null) await _input.DisposeAsync();
    }

    [Fact]
    public async Task Prepared_lent_recalled_and_seen_at_each_step()
    {
        var keyboard = _kernel.Plug("Receiver", "1-4");
        var mouse = _kernel.Plug("Receiver Mouse", "1-4", FakeInputKernel.Mouse);
        _kernel.Plug("Another", "1-4.2");
        await StartAsync();
        Assert.Equal(new(HostSight.Served), await LookAsync(Desk));

        using var attachment = await Side.PrepareAsync(Desk, Qemu, force: false, Token);
        Assert.Equal([(0, "input-linux"), (1, "input-linux")], attachment.Parts.Select(part => (part.Slot, part.Driver)));
        Assert.Equal(
            ClonesBySlot().Select(clone => $"evdev={clone.Path} grab-toggle=scrolllock repeat=on"),
            attachment.Parts.Select(part => string.Join(' ', part.Properties.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"))));
        Assert.All(_kernel.Clones, clone => Assert.Equal([(0u, 0u)], clone.Owners));
        attachment.Admit!();
        Assert.All(_kernel.Clones, clone => Assert.Equal([(0u, 0u), (64055u, 64056u)], clone.Owners));

        await Side.LendAsync(Desk, Machine, Token);
        Assert.Equal(new(HostSight.Served, Machine), await LookAsync(Desk));
        Assert.True(keyboard.IsGrabbed && mouse.IsGrabbed);
        Assert.All(_kernel.Clones, clone => Assert.Equal((0u, 0u), clone.Owners.Last()));
        keyboard.Press(30);
        await HearsAsync(ClonesBySlot()[0].Guest, "+30");

        await Side.RecallAsync(Desk, Token);
        await Side.RestoreAsync(Desk, Token);
        Assert.Equal("+30 -30", ClonesBySlot()[0].Guest.Keys);
        Assert.Equal(new(HostSight.Served), await LookAsync(Desk));
        Assert.False(keyboard.IsGrabbed || mouse.IsGrabbed);
        Assert.Empty(_warnings);
    }

    [Fact]
    public async Task Each_node_is_opened_once_and_clones_never()
    {
        _kernel.Plug("Receiver", "1-4");
        await StartAsync();
        using var attachment = await Side.PrepareAsync(Desk, Qemu, force: false, Token);
        var later = _kernel.Plug("Later");
        await OpensAsync(later);
        Assert.Equal(_kernel.Opened.Distinct(), _kernel.Opened);
        Assert.DoesNotContain(_kernel.Clones.Single().Event, _kernel.Opened);
    }

    [Fact]
    public async Task Seen_as_absent_when_unplugged_also_while_lent_and_grabbed_again_when_it_is_back()
    {
        await StartAsync();
        Assert.Equal(new(HostSight.Absent), await LookAsync(Desk));
        Assert.Equal(Failure.Refused, (await Assert.ThrowsAsync<SwitchException>(() => Side.PrepareAsync(Desk, Qemu, force: false, Token))).Failure);

        var keyboard = _kernel.Plug("Keyboard", "1-4");
        await OpensAsync(keyboard);
        using var attachment = await Side.PrepareAsync(Desk, Qemu, force: false, Token);
        await Side.LendAsync(Desk, Machine, Token);
        using var changes = Input.Changes.Listen();
        _kernel.Unplug(keyboard);
        Assert.True(await changes.WaitAsync(_ => true, Deadline, TimeProvider.System, Token));
        Assert.Equal(new(HostSight.Absent, Machine), await LookAsync(Desk));

        var again = _kernel.Plug("Keyboard", "1-4");
        await SeesAsync(Desk, new(HostSight.Served, Machine));
        await UntilAsync(() => again.IsGrabbed);
        await Side.RecallAsync(Desk, Token);
        Assert.False(again.IsGrabbed);
    }

    [Fact]
    public async Task The_leds_of_a_guest_are_shown_on_what_it_has_the_last_state_in_the_end()
    {
        var keyboard = _kernel.Plug("Keyboard", "1-4");
        await StartAsync();
        Assert.True(Input.IsRelaying);
        using var attachment = await Side.PrepareAsync(Desk, Qemu, force: false, Token);
        Input.ShowLeds(Machine, LockLeds.Num);
        await Side.LendAsync(Desk, Machine, Token);
        Assert.Equal(LockLeds.Num, (LockLeds)keyboard.Leds);

        for (var i = 0; i < 10_000; i++) Input.ShowLeds(Machine, (LockLeds)(i % 8));
        Input.ShowLeds(Machine, LockLeds.Caps);
        await UntilAsync(() => (LockLeds)keyboard.Leds == LockLeds.Caps);

        await Side.RecallAsync(Desk, Token);
        Assert.Equal(LockLeds.None, (LockLeds)keyboard.Leds);
        Input.ShowLeds(Machine, null);
        await LookAsync(Desk);
        await Side.LendAsync(Desk, Machine, Token);
        Assert.Equal(LockLeds.None, (LockLeds)keyboard.Leds);
    }

    [Fact]
    public async Task A_lending_that_is_given_up_does_not_happen_later()
    {
        var keyboard = _kernel.Plug("Keyboard", "1-4");
        await StartAsync();
        using var attachment = await Side.PrepareAsync(Desk, Qemu, force: false, Token);
        keyboard.Press(30);
        await HearsAsync(keyboard.Host, "+30");
        using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Side.LendAsync(Desk, Machine, patience.Token));

        keyboard.Release(30);
        Assert.Equal(new(HostSight.Served), await LookAsync(Desk));
        Assert.False(keyboard.IsGrabbed);
    }

    [Fact]
    public async Task A_link_names_one_node_and_two_places_of_one_link_are_ambiguous()
    {
        var pad = _kernel.Plug("Pad", "1-2", FakeInputKernel.Mouse, links: "usb-Pad-event-mouse");
        await StartAsync();
        using (var attachment = await Side.PrepareAsync(Pad, Qemu, force: false, Token)) Assert.Single(attachment.Parts);
        await OpensAsync(_kernel.Plug("Pad", "1-3", FakeInputKernel.Mouse, links: "usb-Pad-event-mouse"));
        var error = await Assert.ThrowsAsync<SwitchException>(() => Side.PrepareAsync(Pad, Qemu, force: false, Token));
        Assert.Equal($"pad is ambiguous: {pad.Node} and event3 (Pad, port 1-3); recognize it by its port", error.Message);
    }

    [Fact]
    public async Task A_node_whose_link_comes_after_it_is_relayed_all_the_same()
    {
        var keyboard = _kernel.Plug("Keyboard");
        await StartAsync();
        Assert.Equal(new(HostSight.Absent), await LookAsync(Pad));
        _kernel.Link(keyboard, "usb-Pad-event-mouse");
        await SeesAsync(Pad, new(HostSight.Served));
        using var attachment = await Side.PrepareAsync(Pad, Qemu, force: false, Token);
        await Side.LendAsync(Pad, Machine, Token);
        Assert.True(keyboard.IsGrabbed);
    }

    [Fact]
    public async Task Hotkeys_are_heard_on_every_keyboard_once_also_on_one_that_is_lent()
    {
        var desk = _kernel.Plug("Desk", "1-4");
        await StartAsync();
        Input.Hotkeys.Watch([Chord.Parse("ctrl+alt+h")]);
        using var attachment = await Side.PrepareAsync(Desk, Qemu, force: false, Token);
        await Side.LendAsync(Desk, Machine, Token);
        var other = _kernel.Plug("Other");
        await OpensAsync(other);
        foreach (var keyboard in new[] { desk, other })
        {
            foreach (var key in new[] { 29, 56, 35 }) keyboard.Press(key);
            foreach (var key in new[] { 35, 56, 29 }) keyboard.Release(key);
            var press = await Input.Hotkeys.Presses.ReadAsync(Token).AsTask().WaitAsync(Deadline, Token);
            Assert.Equal(("ctrl+alt+h", keyboard.Node), (press.Chord.ToString(), press.Keyboard));
        }

        Assert.False(Input.Hotkeys.Presses.TryRead(out _));
        Assert.Equal("+29 +56 -56 -29", _kernel.Clones.Single().Guest.Keys);
    }

    [Fact]
    public async Task Hotkeys_are_heard_while_the_kernel_takes_its_time_to_give_devices_back()
    {
        using var isOver = new ManualResetEventSlim();
        var nodes = Enumerable.Range(0, 7).Select(number => _kernel.Plug($"Receiver {number}", "1-4")).ToArray();
        foreach (var node in nodes) node.AfterUngrab = () => Assert.True(isOver.Wait(Deadline, Token));
        var other = _kernel.Plug("Other");
        await StartAsync();
        Input.Hotkeys.Watch([Chord.Parse("ctrl+alt+h")]);
        using var attachment = await Side.PrepareAsync(Desk, Qemu, force: false, Token);
        for (var round = 0; round < 3; round++)
        {
            isOver.Reset();
            await Side.LendAsync(Desk, Machine, Token);
            var recall = Side.RecallAsync(Desk, Token);
            await UntilAsync(() => nodes.Any(node => !node.IsGrabbed));
            foreach (var key in new[] { 29, 56, 35 }) other.Press(key);
            foreach (var key in new[] { 35, 56, 29 }) other.Release(key);
            await Input.Hotkeys.Presses.ReadAsync(Token).AsTask().WaitAsync(Deadline, Token);
            Assert.False(recall.IsCompleted);
            isOver.Set();
            await recall.WaitAsync(Deadline, Token);
            Assert.All(nodes, node => Assert.False(node.IsGrabbed));
        }
    }

    [Fact]
    public async Task What_is_heard_can_be_watched_live()
    {
        var keyboard = _kernel.Plug("Keyboard");
        await StartAsync();
        Input.Hotkeys.Watch([Chord.Parse("ctrl+h")]);
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var heard = Input.Hotkeys.HearAsync(enough.Token).GetAsyncEnumerator(enough.Token);
        var next = heard.MoveNextAsync();
        keyboard.Press(29);
        keyboard.Press(35);
        keyboard.Release(35);
        keyboard.Release(29);
        var lines = new List<string>();
        for (var i = 0; i < 4; i++)
        {
            Assert.True(await next.AsTask().WaitAsync(Deadline, Token));
            lines.Add($"{heard.Current.Keyboard.Name}: {string.Join('+', heard.Current.KeysDown)} {heard.Current.Chord}");
            if (i < 3) next = heard.MoveNextAsync();
        }

        Assert.Equal(["Keyboard: leftctrl ", "Keyboard: leftctrl+h ", "Keyboard: leftctrl ", "Keyboard:  ctrl+h"], lines);
        await enough.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await heard.MoveNextAsync());
    }

    [Fact]
    public async Task A_node_that_cant_be_opened_is_reported_once_and_opened_when_it_can()
    {
        _kernel.NoNodes = "event1 can't be listened to: Permission denied";
        _kernel.Plug("Keyboard", "1-4");
        await StartAsync();
        Assert.Equal(new(HostSight.Absent), await LookAsync(Desk));
        _kernel.NoNodes = null;
        await SeesAsync(Desk, new(HostSight.Served));
        Assert.Equal(["event1 can't be listened to: Permission denied"], _warnings);
    }

    [Fact]
    public async Task When_it_ends_nothing_is_grabbed_and_no_key_is_down_in_the_guest()
    {
        var keyboard = _kernel.Plug("Keyboard", "1-4");
        await StartAsync();
        using var attachment = await Side.PrepareAsync(Desk, Qemu, force: false, Token);
        await Side.LendAsync(Desk, Machine, Token);
        keyboard.Press(30);
        await HearsAsync(_kernel.Clones.Single().Guest, "+30");

        await Input.DisposeAsync();

        Assert.False(keyboard.IsGrabbed);
        Assert.Equal("+30 -30", _kernel.Clones.Single().Guest.Keys);
        var error = await Assert.ThrowsAsync<SwitchException>(() => Side.LendAsync(Desk, Machine, Token));
        Assert.Equal("desk can't be switched: input is no longer read; restart the daemon", error.Message);
    }

    [Fact]
    public async Task A_clone_that_fails_sends_its_device_home_and_the_others_go_on()
    {
        var keyboard = _kernel.Plug("Keyboard", "1-4");
        await StartAsync();
        using var attachment = await Side.PrepareAsync(Desk, Qemu, force: false, Token);
        await Side.LendAsync(Desk, Machine, Token);
        _kernel.Clones.Single().Dispose();
        keyboard.Press(30);
        await SeesAsync(Desk, new(HostSight.Served));
        Assert.False(keyboard.IsGrabbed);
        Assert.Contains("desk comes home: the kernel takes no more events for its clone", _warnings);
        await OpensAsync(_kernel.Plug("Other"));
    }

    private static Device Named(string name, InputMatch match) => new(DeviceId.Parse(name), DeviceClass.Hid, new DeviceRoute.Input(match), new(0, 1));

    private FakeClone[] ClonesBySlot() => [.. _kernel.Clones.OrderBy(clone => clone.Spec.Phys, StringComparer.Ordinal)];

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Token);
        patience.CancelAfter(Deadline);
        using var pulse = new PeriodicTimer(TimeSpan.FromMilliseconds(2));
        while (!condition()) await pulse.WaitForNextTickAsync(patience.Token);
    }

    private static Task HearsAsync(EventLog log, string keys) => UntilAsync(() => log.Keys == keys);

    private async Task StartAsync() => _input = await HostInput.StartAsync(
        _kernel, _kernel.Events, [Desk, Pad], TimeProvider.System, _warnings.Enqueue, Token).WaitAsync(Deadline, Token);

    private Task<HostView> LookAsync(Device device) => Side.ObserveAsync(device, Token);

    private async Task SeesAsync(Device device, HostView view)
    {
        using var pulse = new PeriodicTimer(TimeSpan.FromMilliseconds(2));
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Token);
        patience.CancelAfter(Deadline);
        while (await LookAsync(device) != view) await pulse.WaitForNextTickAsync(patience.Token);
    }

    /// <summary>Returns once a node that was plugged in is listened to.</summary>
    private async Task OpensAsync(FakeInputDevice device)
    {
        await UntilAsync(() => device.IsListenedTo);
        // It is asked for its keys by the thread that answers this.
        await LookAsync(Desk);
    }
}
