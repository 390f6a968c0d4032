using KvmSwitch.Core;
using KvmSwitch.Linux.Input;
using KvmSwitch.Testing.Linux.Input;
using Xunit;

namespace KvmSwitch.Tests.Input;

public sealed class InputRelayTests : IDisposable
{
    private const int A = 30;
    private const int B = 48;
    private const int C = 46;
    private const int LeftCtrl = 29;
    private const int LeftAlt = 56;
    private const int H = 35;
    private const int ScrollLock = 70;
    private const int LeftButton = 0x110;
    private readonly RelayBench _bench = new();

    private EventLog Guest => _bench.Clone.Guest;

    public void Dispose() => _bench.Dispose();

    [Fact]
    public void At_home_the_host_hears_and_the_clone_is_silent()
    {
        var keyboard = _bench.Plug();
        _bench.Offer();
        _bench.Tap(keyboard, A);
        Assert.Equal("+30 -30", _bench.Host.Keys);
        Assert.Empty(Guest.All);
        Assert.Null(_bench.Relay.LentTo);
    }

    [Fact]
    public void Lent_the_clone_hears_and_the_host_is_silent()
    {
        var keyboard = _bench.PlugAndLend();
        _bench.Tap(keyboard, A);
        Assert.Equal("+30 -30", Guest.Keys);
        Assert.Empty(_bench.Host.All);
        Assert.Equal(RelayBench.Machine, _bench.Relay.LentTo);
    }

    [Fact]
    public void The_clone_is_the_device_without_scroll_lock_and_repeats_by_itself()
    {
        var keyboard = _bench.PlugAndLend();
        keyboard.Press(A);
        keyboard.Repeat(A);
        keyboard.Release(A);
        keyboard.Press(ScrollLock);
        keyboard.Release(ScrollLock);
        _bench.Pump();
        Assert.Equal("+30 -30", Guest.Keys);
        Assert.DoesNotContain((ushort)ScrollLock, _bench.Clone.Spec.Capabilities.Of(EventType.Key));
        Assert.Equal(FakeInputKernel.Keyboard.Of(EventType.Key).Length - 1, _bench.Clone.Spec.Capabilities.Of(EventType.Key).Length);
        Assert.Equal(FakeInputKernel.Keyboard.Of(EventType.Led), _bench.Clone.Spec.Capabilities.Of(EventType.Led));
        Assert.Equal("kvmswitch/desk/0", _bench.Clone.Spec.Phys);
    }

    [Fact]
    public async Task Lending_waits_for_the_keys_that_are_held()
    {
        var keyboard = _bench.Plug();
        _bench.Offer();
        keyboard.Press(A);
        _bench.Pump();
        var lending = _bench.Relay.LendAsync(RelayBench.Machine);
        Assert.False(lending.IsCompleted);
        Assert.False(keyboard.IsGrabbed);

        keyboard.Release(A);
        _bench.Pump();

        await lending;
        Assert.Equal("+30 -30", _bench.Host.Keys);
        Assert.Empty(Guest.All);
    }

    [Fact]
    public async Task A_key_that_stays_held_is_released_on_the_host_after_a_second_and_never_reaches_the_guest()
    {
        var keyboard = _bench.Plug();
        _bench.Offer();
        keyboard.Press(A);
        _bench.Pump();
        var lending = _bench.Relay.LendAsync(RelayBench.Machine);

        _bench.Work.RunTimers();

        await lending;
        Assert.Equal("+30 -30", _bench.Host.Keys);
        keyboard.Release(A);
        _bench.Tap(keyboard, B);
        Assert.Equal("+48 -48", Guest.Keys);
        Assert.Equal("+30 -30", _bench.Host.Keys);
    }

    [Fact]
    public async Task What_was_typed_before_the_grab_and_not_yet_read_is_the_hosts_alone()
    {
        var keyboard = _bench.Plug();
        _bench.Offer();
        keyboard.Press(A);
        keyboard.Release(A);
        await _bench.Relay.LendAsync(RelayBench.Machine);
        _bench.Pump();
        Assert.Equal("+30 -30", _bench.Host.Keys);
        Assert.Empty(Guest.All);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_key_that_goes_down_at_the_very_grab_is_the_hosts_and_the_grab_is_tried_again(bool before)
    {
        var keyboard = _bench.Plug();
        _bench.Offer();
        if (before) keyboard.BeforeGrab = () => keyboard.Press(A);
        else keyboard.AfterGrab = () => keyboard.Press(A);

        var lending = _bench.Relay.LendAsync(RelayBench.Machine);
        Assert.False(lending.IsCompleted);
        _bench.Work.Finish();
        keyboard.Release(A);
        _bench.Pump();
        _bench.Work.Finish();

        await lending;
        _bench.Tap(keyboard, B);
        Assert.Equal("+48 -48", Guest.Keys);
        Assert.Empty(_bench.Host.Down);
        Assert.DoesNotContain("+48", _bench.Host.Keys, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_keyboard_that_is_hammered_on_is_refused_in_the_end_and_stays_with_the_host()
    {
        var keyboard = _bench.Plug();
        _bench.Offer();
        void Hammer()
        {
            keyboard.Release(A);
            keyboard.Press(A);
            keyboard.BeforeGrab = Hammer;
        }

        keyboard.BeforeGrab = Hammer;
        var lending = _bench.Relay.LendAsync(RelayBench.Machine);
        for (var i = 0; i < 20 && !lending.IsCompleted; i++)
        {
            _bench.Work.Finish();
            _bench.Work.RunTimers();
        }

        var error = await Assert.ThrowsAsync<SwitchException>(() => lending);
        Assert.Equal("desk can't be handed over while keys are being pressed; let go of them and try again", error.Message);
        _bench.Work.Finish();
        Assert.False(keyboard.IsGrabbed);
    }

    [Fact]
    public async Task Returning_releases_what_the_guest_holds_and_the_host_never_hears_of_it()
    {
        var keyboard = _bench.PlugAndLend();
        keyboard.Press(A);
        _bench.Pump();

        var returning = _bench.Relay.ReturnAsync();
        Assert.False(returning.IsCompleted);
        Assert.True(_bench.Relay.IsReturning);
        _bench.Work.Finish();
        await returning;

        Assert.Equal("+30 -30", Guest.Keys);
        keyboard.Release(A);
        _bench.Tap(keyboard, B);
        Assert.Equal("+48 -48", _bench.Host.Keys);
        Assert.Equal("+30 -30", Guest.Keys);
    }

    [Fact]
    public async Task On_its_way_home_the_guest_hears_it_until_it_is_let_go_and_the_host_from_then_on()
    {
        var keyboard = _bench.PlugAndLend();
        keyboard.AfterUngrab = () => _bench.Tap(keyboard, B);

        var returning = _bench.Relay.ReturnAsync();
        _bench.Tap(keyboard, A);
        _bench.Work.Step();
        Assert.False(returning.IsCompleted);
        _bench.Tap(keyboard, C);
        _bench.Work.Finish();
        await returning;

        Assert.Equal("+30 -30", Guest.Keys);
        Assert.Equal("+48 -48 +46 -46", _bench.Host.Keys);
    }

    [Fact]
    public async Task Recalled_before_it_was_lent_it_stays()
    {
        var keyboard = _bench.Plug();
        _bench.Offer();
        keyboard.Press(A);
        _bench.Pump();
        var lending = _bench.Relay.LendAsync(RelayBench.Machine);
        await _bench.Relay.ReturnAsync();

        Assert.Equal("desk was called back before it was handed over", (await Assert.ThrowsAsync<SwitchException>(() => lending)).Message);
        keyboard.Release(A);
        _bench.Pump();
        _bench.Work.RunTimers();
        Assert.False(keyboard.IsGrabbed);
    }

    [Fact]
    public async Task Lent_again_while_it_is_still_coming_home()
    {
        var keyboard = _bench.PlugAndLend();
        var returning = _bench.Relay.ReturnAsync();
        var lending = _bench.Relay.LendAsync(RelayBench.Machine);
        Assert.False(lending.IsCompleted);
        _bench.Work.Finish();
        await returning;
        await lending;
        _bench.Tap(keyboard, A);
        Assert.Equal("+30 -30", Guest.Keys);
    }

    [Fact]
    public void Unplugged_while_lent_the_guests_keys_go_up_and_the_clone_stays()
    {
        var keyboard = _bench.PlugAndLend();
        keyboard.Press(A);
        _bench.Pump();
        keyboard.Unplug();
        _bench.Pump();
        Assert.Equal("+30 -30", Guest.Keys);
        Assert.False(_bench.Relay.IsPresent);
        Assert.Equal(RelayBench.Machine, _bench.Relay.LentTo);
        Assert.False(_bench.Clone.IsDisposed);
    }

    [Fact]
    public void Plugged_in_again_it_is_grabbed_again_and_goes_into_the_same_clone()
    {
        _bench.PlugAndLend().Unplug();
        _bench.Pump();
        var again = _bench.Plug();
        _bench.Work.Finish();
        _bench.Tap(again, A);
        Assert.Equal("+30 -30", Guest.Keys);
        Assert.Empty(_bench.Host.All);
        Assert.Single(_bench.Kernel.Clones);
    }

    [Fact]
    public void Another_device_at_the_same_place_is_not_grabbed_before_qemu_knows_its_clone()
    {
        _bench.PlugAndLend().Unplug();
        _bench.Pump();
        var mouse = _bench.Plug(FakeInputKernel.Mouse);
        _bench.Work.Finish();
        Assert.False(mouse.IsGrabbed);
        Assert.True(_bench.Relay.IsPartial);

        _bench.Offer();
        Assert.True(_bench.Relay.LendAsync(RelayBench.Machine).IsCompletedSuccessfully);
        Assert.True(mouse.IsGrabbed);
        Assert.False(_bench.Relay.IsPartial);
    }

    [Fact]
    public void A_device_of_two_nodes_moves_as_one()
    {
        var keyboard = _bench.Plug();
        var mouse = _bench.Plug(FakeInputKernel.Mouse);
        _bench.Offer();
        _ = _bench.Relay.LendAsync(RelayBench.Machine);
        _bench.Tap(keyboard, A);
        mouse.Press(LeftButton);
        mouse.Move(0, 5);
        _bench.Pump();
        Assert.Equal(["+30 -30", "+272"], _bench.Kernel.Clones.Select(clone => clone.Guest.Keys));

        _ = _bench.Relay.ReturnAsync();
        _bench.Work.Finish();
        Assert.Equal("+272 -272", _bench.Kernel.Clones.Last().Guest.Keys);
        mouse.Release(LeftButton);
        Assert.Empty(_bench.Host.Keys);
    }

    [Fact]
    public async Task When_another_program_has_one_node_none_is_lent()
    {
        var keyboard = _bench.Plug();
        var mouse = _bench.Plug(FakeInputKernel.Mouse);
        mouse.IsTaken = true;
        _bench.Offer();
        var lending = _bench.Relay.LendAsync(RelayBench.Machine);
        _bench.Work.Finish();
        Assert.Equal(Failure.Refused, (await Assert.ThrowsAsync<SwitchException>(() => lending)).Failure);
        Assert.False(keyboard.IsGrabbed);
        Assert.Null(_bench.Relay.LentTo);
    }

    [Fact]
    public async Task What_is_not_plugged_in_is_refused()
    {
        Assert.Equal("desk isn't plugged in", (await Assert.ThrowsAsync<SwitchException>(() => _bench.Relay.OfferAsync())).Message);
        Assert.Equal("desk isn't plugged in", (await Assert.ThrowsAsync<SwitchException>(() => _bench.Relay.LendAsync(RelayBench.Machine))).Message);
    }

    [Fact]
    public async Task Without_uinput_it_is_refused_with_the_reason_and_works_once_that_is_there()
    {
        _bench.Kernel.NoClones = "/dev/uinput can't be opened; load the kernel's module uinput";
        _bench.Plug();
        _bench.Work.Finish();
        var offer = _bench.Relay.OfferAsync();
        _bench.Work.Finish();
        var error = await Assert.ThrowsAsync<SwitchException>(() => offer);
        Assert.Equal("desk can't be lent: /dev/uinput can't be opened; load the kernel's module uinput", error.Message);

        _bench.Kernel.NoClones = null;
        _bench.Offer();
        await _bench.Relay.LendAsync(RelayBench.Machine);
    }

    [Fact]
    public void A_clone_that_takes_nothing_any_more_sends_the_device_home()
    {
        var keyboard = _bench.PlugAndLend();
        _bench.Clone.IsBroken = true;
        _bench.Tap(keyboard, A);
        _bench.Work.Finish();
        Assert.Null(_bench.Relay.LentTo);
        Assert.False(keyboard.IsGrabbed);
        Assert.Equal(["desk comes home: the kernel takes no more events for its clone"], _bench.Warnings);
    }

    [Fact]
    public async Task The_guest_sets_leds_and_they_are_as_before_when_it_is_back()
    {
        var keyboard = _bench.PlugAndLend();
        var node = (await _bench.Relay.OfferAsync()).Single();
        _bench.Clone.SetLed(1, isLit: true);
        Assert.True(node.Pump());
        Assert.Equal(2u, keyboard.Leds);

        _ = _bench.Relay.ReturnAsync();
        _bench.Work.Finish();
        Assert.Equal(0u, keyboard.Leds);
        _bench.Clone.SetLed(1, isLit: true);
        Assert.True(node.Pump());
        Assert.Equal(0u, keyboard.Leds);
    }

    [Fact]
    public void What_the_guests_leds_show_is_lit_while_lent_and_as_before_when_it_is_back()
    {
        var keyboard = _bench.Plug();
        keyboard.Set(LockLeds.Num);
        _bench.Offer();
        _ = _bench.Relay.LendAsync(RelayBench.Machine);

        _bench.Relay.ShowLeds(RelayBench.Machine, LockLeds.Caps | LockLeds.Scroll);
        Assert.Equal(LockLeds.Caps | LockLeds.Scroll, (LockLeds)keyboard.Leds);
        _bench.Relay.ShowLeds(RelayBench.Machine, LockLeds.None);
        Assert.Equal(LockLeds.None, (LockLeds)keyboard.Leds);

        _ = _bench.Relay.ReturnAsync();
        _bench.Work.Finish();
        Assert.Equal(LockLeds.Num, (LockLeds)keyboard.Leds);
        _bench.Relay.ShowLeds(RelayBench.Machine, LockLeds.Caps);
        Assert.Equal(LockLeds.Num, (LockLeds)keyboard.Leds);
    }

    [Fact]
    public void What_is_lent_or_replugged_later_shows_what_the_guests_leds_show_by_then()
    {
        var keyboard = _bench.Plug();
        _bench.Offer();
        _bench.Relay.ShowLeds(RelayBench.Machine, LockLeds.Num);
        _bench.Relay.ShowLeds(RelayBench.Machine, LockLeds.Caps);
        Assert.Equal(LockLeds.None, (LockLeds)keyboard.Leds);

        _ = _bench.Relay.LendAsync(RelayBench.Machine);
        Assert.Equal(LockLeds.Caps, (LockLeds)keyboard.Leds);

        _bench.Kernel.Unplug(keyboard);
        _bench.Pump();
        var again = _bench.Plug();
        Assert.Equal(LockLeds.Caps, (LockLeds)again.Leds);
        Assert.True(again.IsGrabbed);
    }

    [Fact]
    public void The_leds_of_another_guest_and_those_that_are_not_known_any_more_change_nothing()
    {
        var keyboard = _bench.PlugAndLend();
        _bench.Relay.ShowLeds(MachineId.Parse("other"), LockLeds.Scroll);
        Assert.Equal(LockLeds.None, (LockLeds)keyboard.Leds);

        _bench.Relay.ShowLeds(RelayBench.Machine, LockLeds.Caps);
        _bench.Relay.ShowLeds(RelayBench.Machine, null);
        Assert.Equal(LockLeds.Caps, (LockLeds)keyboard.Leds);
        _ = _bench.Relay.ReturnAsync();
        _bench.Work.Finish();
        _ = _bench.Relay.LendAsync(RelayBench.Machine);
        Assert.Equal(LockLeds.None, (LockLeds)keyboard.Leds);
    }

    [Fact]
    public void The_keys_of_a_chord_are_taken_back_from_the_guest_and_the_last_never_arrives()
    {
        _bench.Hotkeys.Watch([Chord.Parse("ctrl+alt+h")]);
        var keyboard = _bench.PlugAndLend();
        keyboard.Press(LeftCtrl);
        keyboard.Press(LeftAlt);
        keyboard.Press(H);
        _bench.Pump();
        Assert.Equal("+29 +56 -56 -29", Guest.Keys);

        keyboard.Press(A);
        foreach (var key in new[] { A, H, LeftAlt, LeftCtrl }) keyboard.Release(key);
        _bench.Pump();
        Assert.Equal("+29 +56 -56 -29", Guest.Keys);
        Assert.False(_bench.Hotkeys.Presses.TryRead(out _));

        _bench.Tap(keyboard, B);
        _bench.Tap(keyboard, LeftCtrl, LeftAlt, H);
        Assert.EndsWith("+48 -48 +29 +56 -56 -29", Guest.Keys, StringComparison.Ordinal);
        Assert.True(_bench.Hotkeys.Presses.TryRead(out var press));
        Assert.Equal("ctrl+alt+h", press.Chord.ToString());
    }

    [Fact]
    public void After_lost_events_the_guests_keys_are_those_that_are_down()
    {
        var keyboard = _bench.PlugAndLend();
        keyboard.Press(A);
        _bench.Pump();
        keyboard.Release(A);
        keyboard.Press(B);
        keyboard.Overrun();
        _bench.Pump();
        Assert.Equal("+30 -30 +48", Guest.Keys);
        keyboard.Release(B);
        _bench.Pump();
        Assert.Equal("+30 -30 +48 -48", Guest.Keys);
    }

    [Fact]
    public void Garbage_presses_no_key_that_is_none_and_ends_nothing()
    {
        var keyboard = _bench.PlugAndLend();
        foreach (var code in new ushort[] { 0x300, 0x7fff, 0xffff }) keyboard.Send(new(EventType.Key, code, 1));
        foreach (var value in new[] { 2, 3, -1, int.MinValue }) keyboard.Send(new(EventType.Key, A, value));
        keyboard.Send(new(0x1f, 0xffff, -1));
        keyboard.Send(new(0xffff, 7, 7));
        keyboard.Send(new(EventType.Key, B, 0));
        keyboard.SendGarbage(new byte[InputSource.BatchSize * 24]);
        _bench.Pump();
        Assert.Empty(Guest.Keys);
        _bench.Tap(keyboard, A);
        Assert.Equal("+30 -30", Guest.Keys);
    }

    [Fact]
    public void The_path_of_an_event_allocates_nothing()
    {
        _bench.Hotkeys.Watch([Chord.Parse("ctrl+alt+h"), Chord.Parse("rightctrl rightctrl")]);
        using var bench = new QuietBench(_bench.Hotkeys);
        bench.Play(100);
        var before = GC.GetAllocatedBytesForCurrentThread();
        bench.Play(20_000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(20_100 * QuietBench.EventsPerRound, bench.Relayed);
    }
}
