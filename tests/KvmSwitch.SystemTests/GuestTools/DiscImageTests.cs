using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.GuestTools;
using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests.GuestTools;

/// <summary>The image of a disc, made and read back by the real xorriso.</summary>
public sealed class DiscImageTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly string _directory = Directory.CreateTempSubdirectory("kvmswitch-disc-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 120_000)]
    public async Task What_is_put_on_a_disc_is_read_from_it_and_no_file_of_it_stays()
    {
        var program = Path.Combine(_directory, "program");
        await File.WriteAllBytesAsync(program, [.. Enumerable.Range(0, 100_000).Select(n => (byte)(n * 7))], Stop);
        var work = Directory.CreateDirectory(Path.Combine(_directory, "work")).FullName;
        Pass(_directory);

        using var image = await Images(work).MakeAsync(
            [new("kvmswitch.join", null, "ksw1-abc\n"), new("a-name-that-is-longer-than-eight.txt", null, "text"), new("kvmswitch-agent", program, IsProgram: true)], Stop);

        Assert.Empty(Directory.GetFileSystemEntries(work));
        var copy = Path.Combine(_directory, "copy.iso");
        await using (var to = File.Create(copy))
        {
            var bytes = new byte[RandomAccess.GetLength(image)];
            Assert.Equal(bytes.Length, RandomAccess.Read(image, bytes, 0));
            await to.WriteAsync(bytes, Stop);
        }

        var tree = Path.Combine(_directory, "tree");
        var read = await ChildProcess.RunAsync("xorriso", ["-no_rc", "-indev", copy, "-osirrox", "on", "-extract", "/", tree], Patience, Stop);
        Assert.True(read.ExitCode == 0, read.Error);
        Assert.Contains("KVMSWITCH", read.Error + read.Output, StringComparison.Ordinal);
        Assert.Equal("ksw1-abc\n", await File.ReadAllTextAsync(Path.Combine(tree, "kvmswitch.join"), Stop));
        Assert.True(File.Exists(Path.Combine(tree, "a-name-that-is-longer-than-eight.txt")));
        Assert.Equal(await File.ReadAllBytesAsync(program, Stop), await File.ReadAllBytesAsync(Path.Combine(tree, "kvmswitch-agent"), Stop));
        Assert.True(File.GetUnixFileMode(Path.Combine(tree, "kvmswitch-agent")).HasFlag(UnixFileMode.OtherExecute));
    }

    [Fact(Timeout = 120_000)]
    public async Task A_source_that_is_gone_is_told_and_nothing_stays()
    {
        var work = Directory.CreateDirectory(Path.Combine(_directory, "work")).FullName;
        var failed = await Assert.ThrowsAsync<SwitchException>(() => Images(work).MakeAsync([new("kvmswitch-agent", "/nowhere/agent")], Stop));
        Assert.StartsWith("the disc can't be made: ", failed.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(work));
    }

    [Fact]
    public void Without_xorriso_it_is_said_how_to_get_it() => Assert.Contains(
        "apt install xorriso", Assert.Throws<SwitchException>(() => DiscImages.Find("/nowhere:relative")).Message, StringComparison.Ordinal);

    public void Dispose()
    {
        // What is read from a disc may be read only, folders too.
        foreach (var folder in Directory.EnumerateDirectories(_directory, "*", SearchOption.AllDirectories))
        {
            File.SetUnixFileMode(folder, File.GetUnixFileMode(folder) | UnixFileMode.UserWrite);
        }

        Directory.Delete(_directory, recursive: true);
    }

    private static DiscImages Images(string work) => new(work, DaemonOptions.Default with { QemuUser = "nobody" }, TimeProvider.System);

    /// <summary>Root has them made by another user, who has to get there.</summary>
    private static void Pass(string directory) => File.SetUnixFileMode(directory, File.GetUnixFileMode(directory) | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
}
