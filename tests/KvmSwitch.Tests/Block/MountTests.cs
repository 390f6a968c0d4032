using System.Text;
using CsCheck;
using KvmSwitch.Linux;
using Xunit;

namespace KvmSwitch.Tests.Block;

public sealed class MountTests
{
    private static readonly Gen<string> Bytes = Gen.Char['\x01', '\xff'].Array[0, 30].Select(letters => new string(letters));

    [Fact]
    public void A_line_with_optional_fields_and_escapes_is_read() => Assert.Equal(
        new Mount("8:17", "/media/me/My Disk\\a\tb", "vfat", "/dev/sdb1"),
        Mount.Parse(@"612 26 8:17 / /media/me/My\040Disk\134a\011b rw,nosuid shared:330 master:2 - vfat /dev/sdb1 rw,uid=1000"));

    [Theory]
    [InlineData("")]
    [InlineData("1 2 8:1 / /x rw")]
    [InlineData("1 2 8:1 / /x rw -")]
    [InlineData("1 2 8:1 / /x rw - ext4")]
    [InlineData("1 2 81 / /x rw - ext4 /dev/sda rw")]
    [InlineData("1 2 8:1 / relative rw - ext4 /dev/sda rw")]
    public void A_line_that_makes_no_sense_is_left_out(string line) => Assert.Null(Mount.Parse(line));

    [Theory]
    [InlineData(@"a\04", @"a\04")]
    [InlineData(@"a\", @"a\")]
    [InlineData(@"\999", @"\999")]
    [InlineData(@"\134040", @"\040")]
    [InlineData(@"\377", "\xff")]
    public void Only_whole_escapes_are_taken_back_and_only_once(string field, string expected) => Assert.Equal(expected, ProcText.Unescape(field));

    [Fact]
    public void Whatever_a_mount_point_is_called_it_comes_back_byte_for_byte() => Bytes.Sample(name =>
    {
        var escaped = string.Concat(name.Select(letter => letter is ' ' or '\t' or '\n' or '\\' or '#' ? $@"\{Convert.ToString(letter, 8).PadLeft(3, '0')}" : $"{letter}"));
        var mount = Mount.Parse($"1 2 8:1 / /{escaped} rw - ext4 /dev/sda1 rw");
        Assert.Equal($"/{name}", mount?.Point);
        Assert.Equal(Encoding.Latin1.GetBytes($"/{name}\0"), ProcText.Bytes(mount!.Point));
    });

    [Fact]
    public void No_line_whatever_makes_parsing_fail_or_puts_control_characters_before_people() => Bytes.Array[0, 12].Sample(fields =>
    {
        var mount = Mount.Parse(string.Join(' ', fields)) ?? Mount.Parse("1 2 8:1 / /" + string.Join(' ', fields) + " rw - a b");
        Assert.DoesNotContain(mount?.ToString() ?? "", char.IsControl);
    });

    [Fact]
    public void A_name_of_utf8_is_shown_as_it_was_meant()
    {
        var raw = Encoding.Latin1.GetString(Encoding.UTF8.GetBytes("/media/Ärger\e[2J"));

        Assert.Equal("/media/Ärger[2J", new Mount("8:1", raw, "ext4", "x").ToString());
    }
}
