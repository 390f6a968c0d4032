using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>A file system of a few hundred kilobytes that can be filled to the brim. Needs root; the test is skipped where it can't be had.</summary>
internal sealed class SmallDisk : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly string _directory;

    private SmallDisk(string directory) => _directory = directory;

    private string Filler => Path.Combine(_directory, "filler");

    public static async Task<SmallDisk> MountAsync(string directory, CancellationToken cancellation)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root can mount a small disk");
        Directory.CreateDirectory(directory);
        var mount = await ChildProcess.RunAsync(
            "/bin/mount", ["-t", "tmpfs", "-o", "size=512k,mode=711", "tmpfs", directory], Patience, cancellation);
        Assert.SkipUnless(mount.ExitCode == 0, $"no disk can be mounted here: {mount.Error.Trim()}");
        return new(directory);
    }

    /// <summary>Leaves not a byte.</summary>
    public void Fill()
    {
        using var file = new FileStream(Filler, FileMode.Append, FileAccess.Write, FileShare.None, bufferSize: 0);
        for (var block = new byte[4096]; ;)
        {
            try
            {
                file.Write(block);
            }
            catch (IOException)
            {
                // Full: that is what was wanted.
                return;
            }
        }
    }

    public void Free() => File.Delete(Filler);

    public async ValueTask DisposeAsync()
    {
        // Lazily: whatever still has a file open there keeps nobody from going on.
        var unmount = await ChildProcess.RunAsync("/bin/umount", ["--lazy", _directory], Patience, CancellationToken.None);
        Assert.True(unmount.ExitCode == 0, unmount.Error);
    }
}
