using System.Text.Json.Nodes;
using Xunit;

namespace KvmSwitch.SystemTests.Lab;

/// <summary>What keeps somebody from being left without a keyboard, and what isn't ours from being touched.</summary>
[Collection(nameof(LabTier))]
public sealed class GuardScenarios(LabHost lab)
{
    private const string Display = "$(dirname $(grep -lx 0x1234 /sys/bus/pci/devices/*/vendor | head -n 1))";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 600_000)]
    public async Task The_last_keyboard_stays_while_no_agent_is_live_unless_it_is_forced()
    {
        await lab.SettleAsync();
        await lab.TypeInGuestAsync("kill -STOP $(cat /run/agent.pid)");
        await lab.WaitForAgentAsync(live: false);
        try
        {
            // All that then remain are given at once.
            string[] keyboards = ["left", "right", "board", "card", "--for", "1m"];
            await lab.Hardware.UnplugAsync("relay-board", Stop);
            await lab.WaitForPlacementAsync("typing", "absent");

            Refused.Sentence(await lab.TryRunAsync(["give", .. keyboards]), Refused.Declined, "last keyboard", "--force");

            Assert.Equal("usbhid", await lab.DriversAsync("desk:1"));
            await lab.RunAsync(["give", .. keyboards, "--force"]);
            Assert.Equal("win", SharedDemo.PlacementIn(await lab.RunAsync("status"), "left"));
        }
        finally
        {
            await lab.TypeInGuestAsync("kill -CONT $(cat /run/agent.pid)");
        }

        await lab.RunAsync("take", "--all");
        Assert.Equal("usbhid", await lab.DriversAsync("desk:4.1"));
    }

    [Fact(Timeout = 600_000)]
    public async Task A_handoff_that_hangs_half_way_is_ended_by_take_all()
    {
        await lab.SettleAsync();
        var host = lab.HostSide.Sightings.Count;

        await lab.WhileGuestIsPausedAsync(async () =>
        {
            // A guest that stands still can't confirm anything.
            var giving = lab.TryRunAsync("give", "desk");
            await lab.WaitForStateAsync("left is on its way", state => Device(state, "left")["handoff"] is not null);
            await lab.RunAsync("take", "--all");

            Assert.NotEqual(0, (await giving).ExitCode);
            Assert.Equal("usbhid", await lab.DriversAsync("desk:1"));
            Assert.Equal("usbhid", await lab.DriversAsync("desk:3"));
            await lab.TypeAsync("twin-left", "a", lab.HostSide, LabKeys.A, host);
        });
    }

    [Fact(Timeout = 600_000)]
    public async Task Devices_of_others_in_QEMU_and_on_vfio_are_left_alone()
    {
        await lab.SettleAsync();
        await lab.QmpAsync("device_add", """{"driver":"usb-kbd","id":"stranger","bus":"kvmswitch-usb0.0","port":"8"}""");
        await lab.Shell.RunAsync($"cd {Display} && echo vfio-pci > driver_override && basename $PWD > /sys/bus/pci/drivers_probe && readlink driver", Stop);
        try
        {
            await lab.KillDaemonAsync();
            await lab.SettleAsync();
            await lab.RunAsync("give", "left");
            await lab.RunAsync("take", "--all");

            Assert.Contains("stranger", await lab.QmpAsync("qom-list", """{"path":"/machine/peripheral"}"""), StringComparison.Ordinal);
            Assert.Equal("vfio-pci", await lab.Shell.RunAsync($"basename $(readlink {Display}/driver)", Stop));
        }
        finally
        {
            await lab.QmpAsync("device_del", """{"id":"stranger"}""");
            await lab.Shell.RunAsync($"cd {Display} && basename $PWD > driver/unbind && echo > driver_override", Stop);
        }
    }

    private static JsonNode Device(JsonNode state, string name) => state["devices"]!.AsArray().Single(device => (string?)device!["name"] == name)!;
}
