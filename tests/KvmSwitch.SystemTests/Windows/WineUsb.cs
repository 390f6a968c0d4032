using Xunit;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>
/// Plugs the emulated keyboard of a QEMU into the Windows under Wine: tests/KvmSwitch.PipeBridge makes the device's node there, with its serial number and its
/// port, and tells the service. Disposing plugs out what is in.
/// </summary>
internal sealed class WineUsb(WineDesktop windows) : IAsyncDisposable
{
    // The first slot of QEMU's root bus is that of the only controller.
    private const string Controller = "PCIROOT(0)#PCI(0100)#USBROOT(0)";
    private string? _plugged;

    /// <param name="serial">Its serial number.</param>
    /// <param name="port">The controller's port.</param>
    public async Task PlugInAsync(string serial, string port)
    {
        // 0627:0001 is every emulated USB keyboard of QEMU.
        var id = $@"USB\VID_0627&PID_0001\{serial}";
        _plugged = id;
        await RunAsync("told", "arrive", id, $"{Controller}#USB({port})");
    }

    /// <param name="told">False: no service runs that could be told.</param>
    public async Task PlugOutAsync(bool told)
    {
        await RunAsync(told ? "told" : "nobody listens", "leave", _plugged!);
        _plugged = null;
    }

    /// <exception cref="InvalidOperationException">A node stays behind, which the scenarios that follow would see.</exception>
    public async ValueTask DisposeAsync()
    {
        if (_plugged is null) return;
        var result = await windows.RunAsync(FakeService.Bridge, "leave", _plugged);
        if (result.ExitCode != 0) throw new InvalidOperationException($"The emulated device {_plugged} is still in this Windows: {result.Error.Trim()}");
    }

    private async Task RunAsync(string answer, params string[] arguments)
    {
        var result = await windows.RunAsync(FakeService.Bridge, arguments);
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Equal(answer, result.Output.Trim());
    }
}
