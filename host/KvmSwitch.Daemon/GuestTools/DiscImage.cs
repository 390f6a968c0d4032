using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Linux;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Daemon.GuestTools;

/// <summary>Makes the image of a disc: ISO 9660 with Joliet names for Windows and Rock Ridge for Linux, by xorriso (xorrisofs(1)).</summary>
internal interface IDiscImages
{
    /// <returns>The image, open for reading. It has no name any more: it is gone as soon as nobody holds it.</returns>
    /// <exception cref="SwitchException">It can't be made: one sentence why. Nothing is left of it.</exception>
    Task<SafeFileHandle> MakeAsync(IReadOnlyList<DiscFile> files, CancellationToken cancellationToken);
}

/// <param name="directory">Where the image is while it is made: absolute, the daemon's own, gone after a reboot.</param>
internal sealed class DiscImages(string directory, DaemonOptions daemon, TimeProvider clock) : IDiscImages
{
    private const string Program = "xorrisofs";
    private const string Label = "KVMSWITCH";
    private const long MaxImage = 512L << 20;
    private const UnixFileMode Mine = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    public async Task<SafeFileHandle> MakeAsync(IReadOnlyList<DiscFile> files, CancellationToken cancellationToken)
    {
        var program = Find(Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin");
        var user = QemuUser.For(daemon);
        var work = Path.Combine(directory, Path.GetRandomFileName());
        try
        {
            var tree = Path.Combine(work, "disc");
            Stage(files, tree, user);
            return await WriteAsync(
                new(program, ["--no_rc", "-quiet", "-V", Label, "-J", "-joliet-long", "-r", tree])
                {
                    User = user is null ? null : new(user.Name, $"{user.Gid}"), Deadline = Deadline, MaxOutput = MaxImage,
                },
                Path.Combine(work, "image"), cancellationToken);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new SwitchException(Failure.Failed, $"the disc can't be made: {failure.Message}", failure);
        }
        finally
        {
            if (Directory.Exists(work)) Directory.Delete(work, recursive: true);
        }
    }

    internal static string Find(string path) =>
        path.Split(':').Where(Path.IsPathRooted).Select(folder => Path.Combine(folder, Program)).FirstOrDefault(File.Exists)
        ?? throw new SwitchException(
            Failure.Failed, "xorriso, which makes the disc, is not installed; install it (Debian and Ubuntu: apt install xorriso), or use 'kvmswitch guest pair'");

    /// <summary>Copies, so that what is read without our rights is this and nothing else. The group of QEMU's user may read it, and nobody may write.</summary>
    private static void Stage(IReadOnlyList<DiscFile> files, string tree, UnixUser? user)
    {
        const UnixFileMode Pass = Mine | UnixFileMode.UserExecute | UnixFileMode.GroupExecute;
        var group = user is null ? null : new UnixGroup(user.Name, user.Gid);
        var work = Path.GetDirectoryName(tree)!;
        Directory.CreateDirectory(work, Pass);
        group?.Own(work);
        Directory.CreateDirectory(tree, Pass | UnixFileMode.GroupRead);
        group?.Own(tree);
        foreach (var file in files)
        {
            var copy = Path.Combine(tree, file.Name);
            using (var stream = new FileStream(copy, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = Mine }))
            {
                if (file.Source is null) stream.Write(System.Text.Encoding.UTF8.GetBytes(file.Text));
                else Copy(file.Source, stream);
            }

            group?.Own(copy);
            File.SetUnixFileMode(copy, Mine | UnixFileMode.GroupRead | (file.IsProgram ? UnixFileMode.UserExecute | UnixFileMode.GroupExecute : UnixFileMode.None));
        }
    }

    private static void Copy(string source, FileStream to)
    {
        using var from = File.OpenRead(source);
        if (from.Length > MaxImage) throw new IOException($"{source} is larger than a disc for guests may be ({MaxImage >> 20} MiB)");
        from.CopyTo(to);
    }

    private async Task<SafeFileHandle> WriteAsync(CapturedProgram program, string path, CancellationToken cancellationToken)
    {
        await using (var image = new FileStream(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = Mine }))
            await program.RunAsync(image, clock, cancellationToken);

        // Opened for reading alone: QEMU asks for a descriptor of just that kind, and must not get one that writes.
        return File.OpenHandle(path);
    }
}
