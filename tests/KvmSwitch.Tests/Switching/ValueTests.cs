using CsCheck;
using KvmSwitch.Core;
using Xunit;

namespace KvmSwitch.Tests.Switching;

public sealed class ValueTests
{
    private static readonly Gen<string> GenName = Gen.Select(
        Gen.Char['a', 'z'], Gen.OneOf("abcxyz0189-".ToCharArray()).Array[0, 31], (first, rest) => first + new string(rest));

    private static readonly Gen<string> GenPort = Gen.Select(
        Gen.Int[1, 999], Gen.Int[1, 999].Array[1, 5], (bus, chain) => $"{bus}-{string.Join('.', chain)}");

    [Fact]
    public void Names_read_back_as_they_are_written() => GenName.Sample(text =>
    {
        Assert.Equal(text, DeviceId.Parse(text).ToString());
        Assert.Equal(text, SetId.Parse(text).ToString());
        Assert.Equal(DeviceId.Parse(text), DeviceId.Parse(text));
    });

    [Theory]
    [InlineData("")]
    [InlineData("-a")]
    [InlineData("1a")]
    [InlineData("Keyboard")]
    [InlineData("key board")]
    [InlineData("a/../b")]
    [InlineData("a\n")]
    [InlineData("a\0")]
    [InlineData("a,id=b")]
    [InlineData("tastatür")]
    [InlineData("a１")]
    [InlineData("abcdefghijklmnopqrstuvwxyz0123456")]
    public void What_is_no_name_is_refused_with_the_rule(string text)
    {
        Assert.Contains("1 to 32", Assert.Throws<FormatException>(() => DeviceId.Parse(text)).Message, StringComparison.Ordinal);
        Assert.Throws<FormatException>(() => MachineId.Parse(text));
        Assert.Throws<FormatException>(() => SetId.Parse(text));
        Assert.Throws<FormatException>(() => Owner.Parse(text));
    }

    [Fact]
    public void Host_is_an_owner_but_no_machine()
    {
        Assert.Equal(Owner.Host, Owner.Parse("host"));
        Assert.Equal(default, Owner.Host);
        Assert.Equal("host", Owner.Host.ToString());
        Assert.Throws<FormatException>(() => MachineId.Parse("host"));
        Assert.Equal("win", Owner.Parse("win").ToString());
    }

    [Fact]
    public void Usb_ids_read_back_as_they_are_written() => Gen.Select(Gen.UShort, Gen.UShort).Sample((vendor, product) =>
    {
        var id = new VidPid(vendor, product);
        Assert.Equal(id, VidPid.Parse(id.ToString()));
        Assert.Equal(id, VidPid.Parse(id.ToString().ToUpperInvariant()));
    });

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("046d")]
    [InlineData("046dc31c")]
    [InlineData("046d-c31c")]
    [InlineData("46d:c31c")]
    [InlineData("046d:c31c ")]
    [InlineData(" 46d:c31c")]
    [InlineData("0x4:c31c")]
    [InlineData("-46d:c31c")]
    [InlineData("+46d:c31c")]
    [InlineData("046g:c31c")]
    [InlineData("046d:c3１c")]
    public void What_is_no_usb_id_is_refused(string? text) => Assert.False(VidPid.TryParse(text, out _));

    [Fact]
    public void Usb_ports_read_back_as_they_are_written() => GenPort.Where(text => text.Length <= 24).Sample(text =>
        Assert.Equal(text, UsbPort.Parse(text).ToString()));

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("1")]
    [InlineData("1-")]
    [InlineData("-1")]
    [InlineData("1-0")]
    [InlineData("0-1")]
    [InlineData("01-1")]
    [InlineData("1-1.")]
    [InlineData("1-.1")]
    [InlineData("1-1..2")]
    [InlineData("1-1-2")]
    [InlineData("1-1.2.3.4.5.6.7")]
    [InlineData("1-1:1.0")]
    [InlineData("usb1")]
    [InlineData("1-1/../2-1")]
    [InlineData("1-1\n")]
    [InlineData("1-１")]
    public void What_is_no_usb_port_is_refused(string? text) => Assert.False(UsbPort.TryParse(text, out _));

    [Fact]
    public void Hostile_text_is_refused_and_never_breaks_the_parser() => Gen.String.Sample(text =>
    {
        if (VidPid.TryParse(text, out var id)) Assert.Equal(text, id.ToString(), ignoreCase: true);
        if (UsbPort.TryParse(text, out var port)) Assert.Equal(text, port.ToString());
    });

    [Fact]
    public void What_remains_of_a_time_limit_lies_between_nothing_and_the_whole_whatever_the_clock_does() => Gen
        .Select(Gen.Long, Gen.Long[DateTimeOffset.MinValue.Ticks, DateTimeOffset.MaxValue.Ticks], Gen.Long[DateTimeOffset.MinValue.Ticks, DateTimeOffset.MaxValue.Ticks])
        .Sample((duration, until, now) =>
        {
            var limit = new TimeLimit(TimeSpan.FromTicks(duration), new(until, TimeSpan.Zero));
            var left = limit.Remaining(new(now, TimeSpan.Zero));
            Assert.InRange(left, TimeSpan.Zero, duration > 0 ? limit.Duration : TimeSpan.Zero);
            if (now <= until && until - now <= duration) Assert.Equal(until - now, left.Ticks);
            if (now > until) Assert.Equal(TimeSpan.Zero, left);
        });
}
