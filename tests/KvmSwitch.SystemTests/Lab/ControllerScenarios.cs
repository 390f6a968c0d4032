using Xunit;

namespace KvmSwitch.SystemTests.Lab;

/// <summary>The route controller: a whole USB controller between real kernels, by VFIO.</summary>
[Collection(nameof(LabTier))]
public sealed class ControllerScenarios(LabHost lab)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 600_000)]
    public async Task A_controller_takes_its_keyboard_along_and_brings_it_back()
    {
        await lab.SettleAsync();
        var (host, guest) = (lab.HostSide.Sightings.Count, lab.GuestSide.Sightings.Count);

        var given = await lab.RunAsync("give", "card");
        Assert.Contains(given["steps"]!.AsArray(), step => (string?)step!["name"] == "confirm");
        Assert.Equal("vfio-pci", await DriverAsync());
        await lab.TypeAsync("card-board", "a", lab.GuestSide, LabKeys.A, guest);
        await lab.RunAsync("take", "card");

        Assert.Equal("xhci_hcd", await DriverAsync());
        await lab.TypeAsync("card-board", "b", lab.HostSide, LabKeys.B, host);
        Assert.DoesNotContain(LabKeys.A, lab.HostSide.KeysSince(host));
        Assert.Equal("(null)", await lab.Shell.RunAsync("cat /sys/bus/pci/devices/0000:03:00.0/driver_override", Stop));
    }

    [Fact(Timeout = 600_000)]
    public async Task After_QEMU_was_killed_the_controller_is_the_hosts_again()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "card");
        var host = lab.HostSide.Sightings.Count;

        await lab.Shell.RunAsync("kill -9 $(cat /run/kvmswitch/machines/win/qemu.pid)", Stop);
        await lab.WaitForPlacementAsync("card", "host");

        Assert.Equal("xhci_hcd", await DriverAsync());
        await lab.TypeAsync("card-board", "b", lab.HostSide, LabKeys.B, host);
    }

    [Fact(Timeout = 600_000)]
    public async Task A_daemon_that_was_killed_finds_the_controller_in_the_guest_and_brings_it_home()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "card");
        var host = lab.HostSide.Sightings.Count;

        await lab.KillDaemonAsync();
        await lab.SettleAsync();

        Assert.Equal("xhci_hcd", await DriverAsync());
        await lab.TypeAsync("card-board", "b", lab.HostSide, LabKeys.B, host);
    }

    [Fact(Timeout = 600_000)]
    public async Task A_controller_with_a_mounted_disk_behind_it_is_refused()
    {
        await lab.SettleAsync();
        await lab.Shell.RunAsync("mkdir -p /mnt/stick && mount /dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_STICK1-0:0 /mnt/stick", Stop);
        try
        {
            Refused.Sentence(await lab.TryRunAsync("give", "rear"), Refused.Declined, "/mnt/stick");
            Assert.Equal("usb-storage", await lab.DriversAsync("rear/super:1"));
        }
        finally
        {
            await lab.Shell.RunAsync("umount /mnt/stick", Stop);
        }
    }

    [Fact(Timeout = 600_000)]
    public async Task The_controller_of_the_disk_that_the_host_runs_from_is_refused_also_by_force()
    {
        await lab.SettleAsync();
        var controller = await lab.Shell.RunAsync("basename $(realpath /sys/block/$(lsblk -ndo PKNAME,NAME $(findmnt -no SOURCE /) | awk '{print $NF}')/device/..)", Stop);
        await lab.ConfigureAsync(text => $"{text}\n[device.root]\nroute = \"controller\"\nfunctions = [\"{controller}\"]\n");

        Refused.Sentence(await lab.TryRunAsync("give", "root", "--force"), Refused.Declined, controller, "/");
        Assert.Equal("virtio-pci", await lab.Shell.RunAsync($"basename $(readlink /sys/bus/pci/devices/{controller}/driver)", Stop));
    }

    [Fact(Timeout = 600_000)]
    public async Task A_controller_is_taken_home_from_a_guest_that_stands_still()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "card");
        var host = lab.HostSide.Sightings.Count;

        await lab.WhileGuestIsPausedAsync(async () =>
        {
            await lab.RunAsync("take", "card");

            Assert.Equal("xhci_hcd", await DriverAsync());
            await lab.TypeAsync("card-board", "b", lab.HostSide, LabKeys.B, host);
        });
    }

    [Fact(Timeout = 600_000)]
    public async Task When_the_guest_panics_the_controller_comes_home_by_itself()
    {
        await lab.SettleAsync();
        await lab.RunAsync("give", "card");
        var host = lab.HostSide.Sightings.Count;

        await lab.TypeInGuestAsync("echo c > /proc/sysrq-trigger");
        await lab.WaitForPlacementAsync("card", "host");

        Assert.Equal("xhci_hcd", await DriverAsync());
        await lab.TypeAsync("card-board", "b", lab.HostSide, LabKeys.B, host);
    }

    private Task<string> DriverAsync() => lab.Shell.RunAsync("basename $(readlink /sys/bus/pci/devices/0000:03:00.0/driver)", Stop);
}
