using KvmSwitch.Core;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static KvmSwitch.Tests.Pci.ControllerRig;

namespace KvmSwitch.Tests.Pci;

public sealed class SettlingTests : IDisposable
{
    private readonly FakeTimeProvider _clock = new();
    private readonly ControllerRig _rig;

    public SettlingTests()
    {
        _rig = new() { Clock = _clock };
        _rig.Restart();
    }

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task What_was_there_before_is_waited_for_and_nothing_else()
    {
        using (await GivenAsync())
        {
            var start = _clock.GetUtcNow();
            var restoring = _rig.Side.RestoreAsync(Ports, CancellationToken.None);

            // Less than a quiet second: all that passes is for looking again.
            while (!restoring.IsCompleted && _clock.GetUtcNow() - start < TimeSpan.FromMilliseconds(900)) await PassAsync(10);
            await restoring.WaitAsync(Deadline);
            Assert.Equal("usbhid", _rig.Tree.DriverOf("1-1", 0));
        }
    }

    [Fact]
    public async Task A_daemon_that_does_not_know_what_was_there_waits_until_nothing_more_comes()
    {
        using (await GivenAsync())
        {
            _rig.Restart();
            var restoring = _rig.Side.RestoreAsync(Ports, CancellationToken.None);
            while (_rig.Tree.DriverOf("1-1", 0) is null) await PassAsync(0);

            await PassAsync(400);
            _rig.Tree.Add("1-2", "046d:c077");
            await PassAsync(0);
            await PassAsync(900);
            Assert.False(restoring.IsCompleted);

            while (!restoring.IsCompleted) await PassAsync(50);
            await restoring;
        }
    }

    private Task<Attachment> GivenAsync()
    {
        var preparing = _rig.PrepareAsync(Ports);
        return Task.Run(async () =>
        {
            while (!preparing.IsCompleted) await PassAsync(50);
            return await preparing;
        });
    }

    /// <summary>Time passes in small steps, each seen by whoever waits.</summary>
    private async Task PassAsync(int milliseconds)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        for (var passed = 0; passed <= milliseconds; passed += 50)
        {
            await timer.WaitForNextTickAsync(CancellationToken.None);
            if (passed < milliseconds) _clock.Advance(TimeSpan.FromMilliseconds(Math.Min(50, milliseconds - passed)));
        }
    }
}
