using Xunit;

namespace KvmSwitch.SystemTests.Lab;

/// <summary>The route input: the relay between real kernels, and the hotkeys that the host hears.</summary>
[Collection(nameof(LabTier))]
public sealed class InputScenarios(LabHost lab)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 600_000)]
    public async Task A_relayed_keyboard_is_heard_on_one_side_alone()
    {
        await lab.SettleAsync();
        var (host, guest) = (lab.HostSide.Sightings.Count, lab.GuestSide.Sightings.Count);

        await lab.RunAsync("give", "typing");
        await lab.Hardware.PressAsync("relay-board", "a", Stop);
        await lab.GuestSide.KeyAsync(LabKeys.A, guest);
        await lab.RunAsync("take", "typing");
        await lab.Hardware.PressAsync("relay-board", "b", Stop);

        await lab.HostSide.KeyAsync(LabKeys.B, host);
        Assert.DoesNotContain(LabKeys.A, lab.HostSide.KeysSince(host));
        Assert.DoesNotContain(LabKeys.B, lab.GuestSide.KeysSince(guest));
    }

    [Fact(Timeout = 600_000)]
    public async Task A_key_that_is_held_while_the_keyboard_is_taken_is_released_in_the_guest_and_unheard_on_the_host()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "typing");
        var (host, guest) = (lab.HostSide.Sightings.Count, lab.GuestSide.Sightings.Count);

        await lab.Hardware.KeyAsync("relay-board", "s", down: true, Stop);
        await lab.GuestSide.KeyAsync(LabKeys.S, guest);
        await lab.RunAsync("take", "typing");
        await lab.GuestSide.ReleaseAsync(LabKeys.S, guest);
        await lab.Hardware.KeyAsync("relay-board", "s", down: false, Stop);
        await lab.Hardware.PressAsync("relay-board", "b", Stop);

        await lab.HostSide.KeyAsync(LabKeys.B, host);
        Assert.DoesNotContain(LabKeys.S, lab.HostSide.KeysSince(host));
    }

    [Fact(Timeout = 600_000)]
    public async Task Both_control_keys_together_are_keys_and_switch_nothing_in_QEMU()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "typing");
        var guest = lab.GuestSide.Sightings.Count;

        await lab.Hardware.KeyAsync("relay-board", "ctrl", down: true, Stop);
        await lab.Hardware.PressAsync("relay-board", "ctrl_r", Stop);
        await lab.Hardware.KeyAsync("relay-board", "ctrl", down: false, Stop);
        await lab.Hardware.PressAsync("relay-board", "a", Stop);

        await lab.GuestSide.KeyAsync(LabKeys.A, guest);
        Assert.Contains(LabKeys.LeftCtrl, lab.GuestSide.KeysSince(guest));
    }

    [Fact(Timeout = 600_000)]
    public async Task A_double_tap_on_the_host_moves_the_keyboard_there_and_back()
    {
        await lab.SettleAsync();
        var (host, guest) = (lab.HostSide.Sightings.Count, lab.GuestSide.Sightings.Count);

        await DoubleTapAsync();
        await lab.WaitForPlacementAsync("typing", "win");
        await lab.Hardware.PressAsync("relay-board", "a", Stop);
        await lab.GuestSide.KeyAsync(LabKeys.A, guest);
        await DoubleTapAsync();
        await lab.WaitForPlacementAsync("typing", "host");

        await lab.Hardware.PressAsync("relay-board", "b", Stop);
        await lab.HostSide.KeyAsync(LabKeys.B, host);
        Assert.DoesNotContain(LabKeys.A, lab.HostSide.KeysSince(host));
    }

    [Fact(Timeout = 600_000)]
    public async Task The_hotkey_brings_the_keyboard_home_although_QEMU_hangs()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "typing");
        var host = lab.HostSide.Sightings.Count;

        await lab.WhileQemuHangsAsync(async () =>
        {
            await DoubleTapAsync();
            await lab.WaitForPlacementAsync("typing", "host");
            await lab.Hardware.PressAsync("relay-board", "b", Stop);
            await lab.HostSide.KeyAsync(LabKeys.B, host);
        });
    }

    [Fact(Timeout = 600_000)]
    public async Task Killed_daemon_or_not_the_keyboard_is_the_hosts()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "typing");
        var host = lab.HostSide.Sightings.Count;

        await lab.KillDaemonAsync();
        await lab.Hardware.PressAsync("relay-board", "b", Stop);

        await lab.HostSide.KeyAsync(LabKeys.B, host);
        await lab.SettleAsync();
        await lab.RunAsync("give", "typing");
        var guest = lab.GuestSide.Sightings.Count;
        await lab.Hardware.PressAsync("relay-board", "a", Stop);
        await lab.GuestSide.KeyAsync(LabKeys.A, guest);
    }

    [Fact(Timeout = 600_000)]
    public async Task A_relayed_keyboard_that_is_replugged_is_picked_up_again()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "typing");
        var (host, guest) = (lab.HostSide.Sightings.Count, lab.GuestSide.Sightings.Count);

        await lab.Hardware.UnplugAsync("relay-board", Stop);
        await lab.WaitForPlacementAsync("typing", "absent");
        await lab.Hardware.PlugAsync("relay-board", Stop);
        await lab.WaitForPlacementAsync("typing", "win");

        await lab.Hardware.PressAsync("relay-board", "a", Stop);
        await lab.GuestSide.KeyAsync(LabKeys.A, guest);
        Assert.DoesNotContain(LabKeys.A, lab.HostSide.KeysSince(host));
    }

    [Fact(Timeout = 600_000)]
    public async Task The_guests_caps_lock_is_lit_on_a_relayed_keyboard_for_as_long_as_the_guest_has_it()
    {
        await lab.SettleAsync();
        var atHome = await CapsLockAsync();
        await lab.RunAsync("give", "typing");
        await ShowsCapsLockAsync("0");

        await lab.Hardware.PressAsync("relay-board", "caps_lock", Stop);
        await ShowsCapsLockAsync("1");
        await lab.RunAsync("take", "typing");
        Assert.Equal(atHome, await CapsLockAsync());

        // What is lent or replugged later shows what the guest has by then.
        await lab.RunAsync("give", "typing");
        await ShowsCapsLockAsync("1");
        await lab.Hardware.UnplugAsync("relay-board", Stop);
        await lab.WaitForPlacementAsync("typing", "absent");
        await lab.Hardware.PlugAsync("relay-board", Stop);
        await lab.WaitForPlacementAsync("typing", "win");
        await ShowsCapsLockAsync("1");

        await lab.Hardware.PressAsync("relay-board", "caps_lock", Stop);
        await ShowsCapsLockAsync("0");
    }

    [Fact(Timeout = 600_000)]
    public async Task A_new_daemon_learns_what_the_guests_leds_show()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "typing");
        await lab.Hardware.PressAsync("relay-board", "caps_lock", Stop);
        await ShowsCapsLockAsync("1");

        await lab.KillDaemonAsync();
        await lab.Shell.RunAsync($"echo 0 > {await CapsLockFileAsync()}", Stop);
        await ShowsCapsLockAsync("0");
        await lab.SettleAsync();
        await lab.RunAsync("give", "typing");
        await ShowsCapsLockAsync("1");

        await lab.Hardware.PressAsync("relay-board", "caps_lock", Stop);
        await ShowsCapsLockAsync("0");
    }

    [Fact(Timeout = 600_000)]
    public async Task Desktops_are_told_to_ignore_what_the_relay_makes()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "typing");

        var marks = await lab.Shell.RunAsync(
            "for d in /sys/class/input/event*; do case $(cat $d/device/phys) in kvmswitch/*) udevadm info --query=property --property=LIBINPUT_IGNORE_DEVICE --value $d; stat -c %a:%u /dev/input/${d##*/};; esac; done", Stop);
        Assert.Equal(["1", "600:0"], marks.Split('\n').Distinct());
    }

    /// <summary>What the keyboard itself shows in the host: 1 for lit.</summary>
    private async Task<string> CapsLockAsync() => await lab.Shell.RunAsync($"cat {await CapsLockFileAsync()}", Stop);

    private async Task ShowsCapsLockAsync(string brightness) => await lab.Shell.RunAsync(
        $"timeout 60 sh -c 'until [ \"$(cat {await CapsLockFileAsync()})\" = {brightness} ]; do sleep 0.1; done'", Stop);

    // While it is replugged there is none.
    private async Task<string> CapsLockFileAsync() =>
        $"/sys/bus/usb/devices/{await lab.PortAsync("rear:3")}:*/*/input/input*/input*::capslock/brightness";

    private async Task DoubleTapAsync()
    {
        for (var taps = 0; taps < 2; taps++) await lab.Hardware.PressAsync("relay-board", "ctrl_r", Stop);
    }
}
