using KvmSwitch.Linux;
using Xunit;

namespace KvmSwitch.Tests.DBus;

public sealed class UDisksPathTests
{
    [Theory]
    [InlineData("sdb1", "sdb1")]
    [InlineData("dm-0", "dm_2d0")]
    [InlineData("a_b", "a_b")]
    [InlineData("cciss!c0d0", "cciss_21c0d0")]
    public void A_device_is_named_as_UDisks_names_it(string name, string expected) =>
        Assert.Equal("/org/freedesktop/UDisks2/block_devices/" + expected, UDisks.PathOf(name));

    [Fact]
    public void Values_know_their_signature()
    {
        Assert.Equal("a{sv}", BusValue.Options().Signature);
        Assert.Equal("a{sv}", BusValue.Options(("force", new BusValue.Flag(false))).Signature);
        Assert.Equal("{su}", new BusValue.Entry(new BusValue.Text(""), new BusValue.Whole(1)).Signature);
    }
}
