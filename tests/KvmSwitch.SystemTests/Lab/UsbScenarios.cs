using System.Globalization;
using Xunit;

namespace KvmSwitch.SystemTests.Lab;

/// <summary>The route usb between real kernels: the host's USB devices, and a guest that enumerates them.</summary>
[Collection(nameof(LabTier))]
public sealed class UsbScenarios(LabHost lab)
{
    private const string MountStick =
        "d=/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_STICK1-0:0; timeout 30 sh -c \"until [ -b $d ]; do sleep 0.2; done\"; mkdir -p /mnt/stick && mount $d /mnt/stick";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 600_000)]
    public async Task A_keyboard_types_where_it_was_given_and_nowhere_else()
    {
        await lab.SettleAsync();
        var (host, guest) = (lab.HostSide.Sightings.Count, lab.GuestSide.Sightings.Count);

        var given = await lab.RunAsync("give", "left");

        Assert.Equal("done", (string?)given["outcome"]);
        Assert.Contains(given["steps"]!.AsArray(), step => (string?)step!["name"] == "confirm" && (string?)step["device"] == "left");
        await lab.TypeAsync("twin-left", "a", lab.GuestSide, LabKeys.A, guest);
        await lab.Hardware.PressAsync("twin-right", "b", Stop);
        await lab.HostSide.KeyAsync(LabKeys.B, host);

        await lab.RunAsync("take", "left");

        Assert.Equal("usbhid", await lab.DriversAsync("desk:1"));
        var seen = await lab.TypeAsync("twin-left", "c", lab.HostSide, LabKeys.C, host);
        Assert.Equal(await lab.PortAsync("desk:1"), (string?)seen["device"]);
        Assert.DoesNotContain(LabKeys.A, lab.HostSide.KeysSince(host));
        Assert.Equal([LabKeys.A], lab.GuestSide.KeysSince(guest));
    }

    [Fact(Timeout = 600_000)]
    public async Task Of_two_keyboards_that_look_the_same_the_port_tells_which_is_given()
    {
        await lab.SettleAsync();
        var (host, guest) = (lab.HostSide.Sightings.Count, lab.GuestSide.Sightings.Count);

        await lab.RunAsync("give", "right");
        await lab.Hardware.PressAsync("twin-left", "b", Stop);
        await lab.HostSide.KeyAsync(LabKeys.B, host);
        await lab.TypeAsync("twin-right", "a", lab.GuestSide, LabKeys.A, guest);

        Assert.Equal("usbfs", await lab.DriversAsync("desk:2"));
        Assert.Equal("usbhid", await lab.DriversAsync("desk:1"));
    }

    [Fact(Timeout = 600_000)]
    public async Task What_fits_several_devices_is_refused_with_all_of_them_named()
    {
        await lab.SettleAsync();
        await lab.ConfigureAsync(text => text + "\n[device.any]\nroute = \"usb\"\nclass = \"hid\"\nid = \"0627:0001\"\n");

        var refused = await lab.TryRunAsync("give", "any");

        Refused.Sentence(refused, Refused.Declined, "ambiguous", await lab.PortAsync("desk:1"), await lab.PortAsync("desk:2"));
        Assert.Equal("usbhid", await lab.DriversAsync("desk:1"));
    }

    [Fact(Timeout = 600_000)]
    public async Task A_hub_is_refused_and_what_is_behind_it_stays()
    {
        await lab.SettleAsync();

        var refused = await lab.TryRunAsync("give", "hub");

        Refused.Sentence(refused, Refused.Declined, "hub", await lab.PortAsync("desk:4"));
        Assert.Equal("usbhid", await lab.DriversAsync("desk:4.1"));
    }

    [Fact(Timeout = 600_000)]
    public async Task A_keyboard_and_a_pointer_behind_a_hub_arrive_one_by_one()
    {
        await lab.SettleAsync();
        var guest = lab.GuestSide.Sightings.Count;

        await lab.RunAsync("give", "board");
        await lab.RunAsync("give", "trackball");

        await lab.TypeAsync("board", "a", lab.GuestSide, LabKeys.A, guest);
        Assert.Equal("hub", await lab.DriversAsync("desk:4"));
    }

    [Theory(Timeout = 600_000)]
    [InlineData("stick", "rear/super:1", "usb-storage", "[ -b /dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_STICK1-0:0 ]")]
    [InlineData("audio", "rear:2", "snd-usb-audio", "ls /dev/snd/pcm*")]
    public async Task Storage_and_sound_arrive_and_their_nodes_are_back_afterwards(string device, string place, string driver, string node)
    {
        await lab.SettleAsync();

        await lab.RunAsync("give", device);
        Assert.Equal("usbfs", await lab.DriversAsync(place));
        Assert.NotEqual(0, (await lab.Shell.TryRunAsync(node, Stop)).ExitCode);
        await lab.RunAsync("take", device);

        Assert.Equal(driver, await lab.DriversAsync(place));

        // The kernel looks for disks a second after usb-storage was bound.
        await lab.Shell.RunAsync($"timeout 30 bash -c 'until {node}; do sleep 0.2; done'", Stop);
    }

    [Fact(Timeout = 600_000)]
    public async Task QEMU_needs_no_access_to_USB_and_no_privilege()
    {
        await lab.SettleAsync();
        var guest = lab.GuestSide.Sightings.Count;
        await lab.Shell.RunAsync("chmod 700 /dev/bus/usb", Stop);
        try
        {
            await lab.RunAsync("give", "left");

            await lab.TypeAsync("twin-left", "a", lab.GuestSide, LabKeys.A, guest);
            var status = await lab.Shell.RunAsync("grep -E '^(Uid|CapEff):' /proc/$(cat /run/kvmswitch/machines/win/qemu.pid)/status; id -u kvmswitch-qemu", Stop);
            var words = status.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal(words[^1], words[1]);
            Assert.NotEqual("0", words[1]);
            Assert.Equal(0UL, ulong.Parse(words[6], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
        }
        finally
        {
            await lab.Shell.RunAsync("chmod 755 /dev/bus/usb", Stop);
        }
    }

    [Fact(Timeout = 600_000)]
    public async Task After_QEMU_was_killed_the_drivers_are_bound_again()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "desk");
        var host = lab.HostSide.Sightings.Count;

        var took = await lab.Shell.RunAsync($"lab-kill-qemu {await lab.PortAsync("desk:1")} {await lab.PortAsync("desk:3")}", Stop);

        TestContext.Current.TestOutputHelper?.WriteLine($"from SIGKILL until all drivers were bound: {took} ms");
        await lab.WaitForPlacementAsync("left", "host");
        await lab.TypeAsync("twin-left", "a", lab.HostSide, LabKeys.A, host);
    }

    [Fact(Timeout = 600_000)]
    public async Task A_keyboard_that_is_replugged_while_given_goes_back_to_its_guest()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "left");
        var guest = lab.GuestSide.Sightings.Count;

        await lab.Hardware.UnplugAsync("twin-left", Stop);
        await lab.WaitForPlacementAsync("left", "absent");
        await lab.Hardware.PlugAsync("twin-left", Stop);
        await lab.WaitForPlacementAsync("left", "win");

        await lab.TypeAsync("twin-left", "a", lab.GuestSide, LabKeys.A, guest);
    }

    [Fact(Timeout = 600_000)]
    public async Task A_keyboard_that_is_unplugged_while_given_can_be_taken_home_and_works_once_it_is_back()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "left");
        var host = lab.HostSide.Sightings.Count;

        await lab.Hardware.UnplugAsync("twin-left", Stop);
        await lab.RunAsync("take", "--all");
        await lab.Hardware.PlugAsync("twin-left", Stop);
        await lab.WaitForPlacementAsync("left", "host");

        await lab.TypeAsync("twin-left", "a", lab.HostSide, LabKeys.A, host);
    }

    [Fact(Timeout = 600_000)]
    public async Task A_daemon_that_was_killed_finds_the_device_again_and_brings_it_home()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "left");
        var host = lab.HostSide.Sightings.Count;

        await lab.KillDaemonAsync();
        await lab.SettleAsync();

        Assert.Equal("usbhid", await lab.DriversAsync("desk:1"));
        await lab.TypeAsync("twin-left", "a", lab.HostSide, LabKeys.A, host);
    }

    [Fact(Timeout = 600_000)]
    public async Task Everything_behind_a_hub_moves_as_one()
    {
        await lab.SettleAsync();
        var (host, guest) = (lab.HostSide.Sightings.Count, lab.GuestSide.Sightings.Count);

        await lab.RunAsync("give", "knot");
        Assert.Equal("usbfs", await lab.DriversAsync("desk:4.1"));
        Assert.Equal("usbfs", await lab.DriversAsync("desk:4.2"));
        await lab.TypeAsync("board", "a", lab.GuestSide, LabKeys.A, guest);
        await lab.RunAsync("take", "knot");

        Assert.Equal("usbhid", await lab.DriversAsync("desk:4.1"));
        Assert.Equal("usbhid", await lab.DriversAsync("desk:4.2"));
        await lab.TypeAsync("board", "b", lab.HostSide, LabKeys.B, host);
    }

    [Fact(Timeout = 600_000)]
    public async Task Unplugged_and_replugged_twice_in_quick_succession_it_comes_home()
    {
        await lab.SettleAsync();
        await lab.ConfigureAsync(text => text.Replace("[daemon]", "[daemon]\nrescue_within = \"30s\"", StringComparison.Ordinal));
        await lab.RunAsync("give", "left");
        var host = lab.HostSide.Sightings.Count;

        for (var times = 0; times < 2; times++)
        {
            await lab.Hardware.UnplugAsync("twin-left", Stop);
            await lab.WaitForPlacementAsync("left", "absent");
            await lab.Hardware.PlugAsync("twin-left", Stop);
            await lab.WaitForPlacementAsync("left", times == 0 ? "win" : "host");
        }

        await lab.TypeAsync("twin-left", "a", lab.HostSide, LabKeys.A, host);
        var history = await lab.RunAsync("history");
        Assert.Contains(history["handoffs"]!.AsArray(), handoff => (string?)handoff!["gesture"] == "rescue");
    }

    [Fact(Timeout = 600_000)]
    public async Task A_keyboard_is_taken_home_from_a_QEMU_that_hangs()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "left");
        var host = lab.HostSide.Sightings.Count;

        await lab.WhileQemuHangsAsync(async () =>
        {
            await lab.RunAsync("take", "--all");
            Assert.Equal("usbhid", await lab.DriversAsync("desk:1"));
            await lab.TypeAsync("twin-left", "a", lab.HostSide, LabKeys.A, host);
        });
    }

    [Fact(Timeout = 600_000)]
    public async Task A_daemon_that_begins_while_QEMU_hangs_takes_the_keyboard_home_from_it()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "left");
        var host = lab.HostSide.Sightings.Count;

        await lab.WhileQemuHangsAsync(async () =>
        {
            await lab.KillDaemonAsync();
            await lab.Shell.RunAsync("systemctl start kvmswitchd && timeout 60 sh -c 'until kvmswitch status >/dev/null 2>&1; do sleep 0.2; done'", Stop);
            await lab.RunAsync("take", "--all");
            Assert.Equal("usbhid", await lab.DriversAsync("desk:1"));
            await lab.TypeAsync("twin-left", "a", lab.HostSide, LabKeys.A, host);
        });
    }

    [Fact(Timeout = 600_000)]
    public async Task Storage_that_is_mounted_is_unmounted_before_it_leaves()
    {
        await lab.SettleAsync();
        await lab.Shell.RunAsync(MountStick, Stop);

        await lab.RunAsync("give", "stick");

        Assert.NotEqual(0, (await lab.Shell.TryRunAsync("mountpoint -q /mnt/stick", Stop)).ExitCode);
        Assert.Equal("usbfs", await lab.DriversAsync("rear/super:1"));
    }

    [Fact(Timeout = 600_000)]
    public async Task Without_UDisks2_mounted_storage_is_refused_unless_it_is_forced()
    {
        await lab.SettleAsync();
        await lab.Shell.RunAsync($"systemctl mask --now --runtime --quiet udisks2; {MountStick}", Stop);
        try
        {
            Refused.Sentence(await lab.TryRunAsync("give", "stick"), Refused.Declined, "/mnt/stick", "--force");
            Assert.Equal("usb-storage", await lab.DriversAsync("rear/super:1"));

            await lab.RunAsync("give", "stick", "--force");
            Assert.NotEqual(0, (await lab.Shell.TryRunAsync("mountpoint -q /mnt/stick", Stop)).ExitCode);
        }
        finally
        {
            await lab.Shell.RunAsync("systemctl unmask --runtime --quiet udisks2; umount /mnt/stick 2>/dev/null || true", Stop);
        }
    }
}
