using CsCheck;
using KvmSwitch.Agent.Enrolment;
using KvmSwitch.Agent.Linux;
using Xunit;

namespace KvmSwitch.Tests.Agent;

public sealed class JoinFileTests : IDisposable
{
    private const string Code = "ksw1-CgsxMjcuMC4wLjE6MRIQAQIDBAUGBwgJCgsMDQ4PEBoQAQIDBAUGBwgJCgsMDQ4PEA";
    private readonly TemporaryDirectory drive = new();

    [Theory]
    [InlineData(Code)]
    [InlineData(Code + "\n")]
    [InlineData(Code + "\r\nmore\r\n")]
    [InlineData("\ufeff" + Code + " \r\n")]
    public async Task The_first_line_is_the_code(string text)
    {
        await File.WriteAllTextAsync(drive.At(JoinFile.Name), text, TestContext.Current.CancellationToken);
        var offer = JoinFile.Read(drive.Path)!;
        Assert.Null(offer.Problem);
        Assert.Equal("127.0.0.1:1", offer.Code!.Addresses.Single().ToString());
        Assert.Equal(drive.At("kvmswitch.join"), offer.Where);
    }

    [Fact]
    public void A_drive_without_one_offers_nothing() => Assert.Null(JoinFile.Read(drive.At("nothing")) ?? JoinFile.Read(drive.Path));

    [Theory]
    [InlineData("", "holds no pairing code")]
    [InlineData("\n" + Code, "holds no pairing code")]
    [InlineData("hello", "holds no pairing code")]
    public async Task What_is_no_code_is_said_with_the_way_out(string text, string problem)
    {
        await File.WriteAllTextAsync(drive.At(JoinFile.Name), text, TestContext.Current.CancellationToken);
        Assert.Equal($"{drive.At("kvmswitch.join")} {problem}: ask for a new disc on the host with 'kvmswitch guest tools'.", JoinFile.Read(drive.Path)!.Problem);
    }

    [Fact]
    public void Any_bytes_are_a_code_or_a_clear_refusal() => Gen.Byte.Array[0, 9000].Sample(
        bytes =>
        {
            File.WriteAllBytes(drive.At(JoinFile.Name), bytes);
            return JoinFile.Read(drive.Path) is { } offer && (offer.Code is null) == (offer.Problem is not null);
        },
        iter: 200, threads: 1);

    [Fact]
    public async Task A_file_without_end_is_not_read_to_its_end()
    {
        await File.WriteAllTextAsync(drive.At(JoinFile.Name), Code + new string(' ', 9000), TestContext.Current.CancellationToken);
        Assert.Contains("is longer than a pairing code is", JoinFile.Read(drive.Path)!.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_directory_or_a_pipe_of_that_name_holds_nobody_up()
    {
        Directory.CreateDirectory(drive.At(JoinFile.Name));
        Assert.Contains("can't be read", JoinFile.Read(drive.Path)!.Problem, StringComparison.Ordinal);
        Directory.Delete(drive.At(JoinFile.Name));

        using (var made = System.Diagnostics.Process.Start("mkfifo", [drive.At(JoinFile.Name)]))
            made.WaitForExit();
        Assert.Contains("can't be read", JoinFile.Read(drive.Path)!.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_drive_that_fails_half_way_is_said_with_the_way_out()
    {
        // A regular file whose first bytes can't be read.
        File.CreateSymbolicLink(drive.At(JoinFile.Name), "/proc/self/mem");
        var offer = JoinFile.Read(drive.Path)!;
        Assert.Matches($@"^{drive.At(JoinFile.Name)} can't be read \(.+\): ask for a new disc on the host with 'kvmswitch guest tools'\.$", offer.Problem);
    }

    [Fact]
    public void Drives_are_where_block_devices_are_mounted() => Assert.Equal(
        ["/", "/media/my disc", "/mnt/ü"],
        MountedDrives.Roots("""
            /dev/vda1 / ext4 rw 0 0
            proc /proc proc rw 0 0
            server:/share /net nfs rw 0 0
            /dev/fuse /run/user/1000/doc fuse.portal rw 0 0
            /dev/sr0 /media/my\040disc iso9660 ro 0 0
            /dev/sr0 /media/my\040disc iso9660 ro 0 0
            /dev/sdb1 /mnt/ü vfat rw 0 0

            garbage
            """));

    public void Dispose() => drive.Dispose();
}
