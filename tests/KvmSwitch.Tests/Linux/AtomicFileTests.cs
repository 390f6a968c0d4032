using System.Diagnostics;
using System.Runtime.Versioning;
using KvmSwitch.Linux;
using Xunit;

namespace KvmSwitch.Tests.Linux;

[SupportedOSPlatform("linux")]
public sealed class AtomicFileTests : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("kvmswitch-file-");

    private string Target => Path.Combine(_directory.FullName, "state.json");

    public void Dispose() => _directory.Delete(recursive: true);

    [Theory]
    [InlineData(OwnerOnly)]
    [InlineData(OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite)]
    [InlineData(UnixFileMode.UserRead)]
    public async Task Writes_a_new_file_with_exactly_the_mode(UnixFileMode mode)
    {
        await AtomicFile.WriteAsync(Target, "new"u8.ToArray(), mode, CancellationToken.None);

        Assert.Equal("new", await File.ReadAllTextAsync(Target));
        Assert.Equal(mode, File.GetUnixFileMode(Target));
        Assert.Single(_directory.GetFileSystemInfos());
    }

    [Fact]
    public async Task Replaces_longer_content_whole()
    {
        await File.WriteAllTextAsync(Target, new string('o', 10_000));

        await AtomicFile.WriteAsync(Target, "new"u8.ToArray(), OwnerOnly, CancellationToken.None);

        Assert.Equal("new", await File.ReadAllTextAsync(Target));
    }

    [Fact]
    public async Task A_missing_directory_is_named()
    {
        var path = Path.Combine(_directory.FullName, "missing", "state.json");

        var error = await Assert.ThrowsAsync<IOException>(() => AtomicFile.WriteAsync(path, default, OwnerOnly, CancellationToken.None));

        Assert.Equal($"{path} can't be written: there is no directory {Path.GetDirectoryName(path)}", error.Message);
    }

    [Fact]
    public async Task A_rename_that_fails_leaves_no_temporary_file()
    {
        Directory.CreateDirectory(Path.Combine(Target, "in-the-way"));

        await Assert.ThrowsAsync<IOException>(() => AtomicFile.WriteAsync(Target, default, OwnerOnly, CancellationToken.None));

        Assert.Equal([Target], _directory.GetFileSystemInfos().Select(f => f.FullName));
    }

    [Fact]
    public async Task Cancelled_before_it_begins_it_changes_nothing()
    {
        await File.WriteAllTextAsync(Target, "old");

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => AtomicFile.WriteAsync(Target, "new"u8.ToArray(), OwnerOnly, new CancellationToken(canceled: true)));

        Assert.Equal("old", await File.ReadAllTextAsync(Target));
        Assert.Single(_directory.GetFileSystemInfos());
    }

    [Fact]
    public async Task On_a_full_disk_the_old_content_stays_and_the_error_says_so()
    {
        Assert.SkipUnless(Run("mount", "-t", "tmpfs", "-o", "size=16k", "none", _directory.FullName) == 0, "mounting a tmpfs needs root");
        try
        {
            await File.WriteAllTextAsync(Target, "old");

            var error = await Assert.ThrowsAsync<IOException>(
                () => AtomicFile.WriteAsync(Target, new byte[100_000], OwnerOnly, CancellationToken.None));

            Assert.Equal($"{Target} can't be written: the disk is full; free some space where {_directory.FullName} is", error.Message);
            Assert.Equal("old", await File.ReadAllTextAsync(Target));
            Assert.Single(_directory.GetFileSystemInfos());
        }
        finally
        {
            Assert.Equal(0, Run("umount", _directory.FullName));
        }
    }

    [Fact]
    public async Task Of_concurrent_writers_one_wins_whole_and_readers_never_see_a_mixture()
    {
        await AtomicFile.WriteAsync(Target, Content(0), OwnerOnly, CancellationToken.None);

        var writers = Task.WhenAll(Enumerable.Range(1, 8).Select(i => AtomicFile.WriteAsync(Target, Content(i), OwnerOnly, CancellationToken.None)));
        do
        {
            var seen = await File.ReadAllBytesAsync(Target);
            Assert.Equal(Content(seen[0]), seen);
        }
        while (!writers.IsCompleted);

        await writers;
        Assert.Single(_directory.GetFileSystemInfos());
    }

    private static byte[] Content(int writer) => [.. Enumerable.Repeat((byte)writer, 50_000)];

    private static int Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardError = true })!;
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode;
    }
}
