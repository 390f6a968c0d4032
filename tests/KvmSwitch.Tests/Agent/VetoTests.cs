using KvmSwitch.Agent.Windows.Devices;
using Xunit;

namespace KvmSwitch.Tests.Agent;

/// <summary>Why Windows keeps a device, as sentences.</summary>
public sealed class VetoTests
{
    [Theory]
    [InlineData(0, "", "Something in Windows still uses it.")]
    [InlineData(3, "explorer.exe", "A program uses it and objects (explorer.exe): close that program first.")]
    [InlineData(5, @"\Device\HarddiskVolume3", @"A program still has files open on it (\Device\HarddiskVolume3): close them first.")]
    [InlineData(6, @"USBSTOR\DISK\1", @"A device below it objects (USBSTOR\DISK\1).")]
    [InlineData(12, "", "The agent may not eject it.")]
    [InlineData(99, "", "Something in Windows still uses it.")]
    public void A_veto_is_one_sentence(int type, string name, string expected) => Assert.Equal(expected, Veto.Explain(type, name));

    [Fact]
    public void What_is_gone_already_is_no_objection() => Assert.Null(Veto.Explain(13, ""));
}
