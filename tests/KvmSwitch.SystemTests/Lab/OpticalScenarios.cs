using Xunit;

namespace KvmSwitch.SystemTests.Lab;

/// <summary>The route optical: a drive with its disc between real kernels, by SCSI passthrough.</summary>
[Collection(nameof(LabTier))]
public sealed class OpticalScenarios(LabHost lab)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 600_000)]
    public async Task Without_a_disc_the_drive_is_refused()
    {
        await lab.SettleAsync();
        await lab.Hardware.DiscAsync(null, Stop);

        Refused.Sentence(await lab.TryRunAsync("give", "disc"), Refused.Declined, "disc");
    }

    [Fact(Timeout = 600_000)]
    public async Task Three_discs_one_after_the_other_are_read_in_the_guest()
    {
        await lab.SettleAsync();
        foreach (var disc in new[] { 1, 2, 3 })
        {
            await LoadAsync(disc);
            var guest = lab.GuestSide.Sightings.Count;

            await lab.RunAsync("give", "disc");

            await lab.GuestSide.WaitForAsync(
                entry => (string?)entry["event"] == "present" && (string?)entry["bus"] == "scsi", LabHost.Patience, Stop, guest);
            Assert.NotEqual(0, (await lab.Shell.TryRunAsync("mount -r /dev/sr0 /mnt", Stop)).ExitCode);
            await lab.RunAsync("take", "disc");
            await lab.Shell.RunAsync("mount -r /dev/sr0 /mnt && umount /mnt", Stop);
        }
    }

    [Fact(Timeout = 600_000)]
    public async Task A_disc_that_is_put_in_goes_to_the_guest_by_itself_and_home_when_it_is_taken_out()
    {
        await lab.SettleAsync();
        await lab.Hardware.DiscAsync(null, Stop);
        await lab.ConfigureAsync(text => text.Replace("route = \"optical\"", "route = \"optical\"\nauto = \"win\"", StringComparison.Ordinal));

        await lab.Hardware.DiscAsync(2, Stop);
        await lab.WaitForPlacementAsync("disc", "win");

        // The button is pressed.
        await lab.Hardware.DiscAsync(null, Stop);
        await lab.WaitForPlacementAsync("disc", "host");

        await lab.Hardware.DiscAsync(3, Stop);
        await lab.WaitForPlacementAsync("disc", "win");
    }

    [Fact(Timeout = 600_000)]
    public async Task Ejected_by_a_guest_that_has_read_the_disc_it_comes_home_and_the_next_disc_goes_there_again()
    {
        await lab.SettleAsync();
        foreach (var disc in new[] { 1, 2 })
        {
            await LoadAsync(disc);
            await lab.RunAsync("give", "disc");

            await lab.TypeInGuestAsync("mkdir -p /mnt && mount -r /dev/sr0 /mnt && cp /mnt/eject /tmp/eject && umount /mnt && /tmp/eject");
            await lab.WaitForPlacementAsync("disc", "host");

            Assert.Equal("disc", (string?)(await lab.RunAsync("history", "--limit", "1"))["handoffs"]![0]!["gesture"]);
        }
    }

    [Fact(Timeout = 600_000)]
    public async Task After_QEMU_was_killed_the_drive_is_the_hosts_again()
    {
        await lab.SettleAsync();
        await LoadAsync(1);
        await lab.RunAsync("give", "disc");

        await lab.Shell.RunAsync("kill -9 $(cat /run/kvmswitch/machines/win/qemu.pid)", Stop);
        await lab.WaitForPlacementAsync("disc", "host");

        await lab.Shell.RunAsync("mount -r /dev/sr0 /mnt && umount /mnt", Stop);
    }

    /// <summary>Puts a disc in, and returns once the host can read it.</summary>
    private async Task LoadAsync(int disc)
    {
        await lab.Hardware.DiscAsync(disc, Stop);
        await lab.Shell.RunAsync($"timeout 60 sh -c 'until blkid -p /dev/sr0 | grep -q disc{disc}; do sleep 0.3; done'", Stop);
    }
}
