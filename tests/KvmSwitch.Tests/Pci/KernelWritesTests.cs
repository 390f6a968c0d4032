using System.Diagnostics;
using System.Globalization;
using KvmSwitch.Core;
using KvmSwitch.Linux;
using Xunit;

namespace KvmSwitch.Tests.Pci;

public sealed class KernelWritesTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvmswitch-writes-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Written_with_a_newline_as_the_kernel_wants_it()
    {
        var path = Path.Combine(_folder.FullName, "driver_override");
        await File.WriteAllTextAsync(path, "");

        Assert.Equal(0, new SysfsWriter().Write(path, "vfio-pci"));

        Assert.Equal("vfio-pci\n", await File.ReadAllTextAsync(path));
    }

    [Fact]
    public void What_can_not_be_written_answers_the_kernels_number()
    {
        Assert.Equal(Libc.ENOENT, new SysfsWriter().Write(Path.Combine(_folder.FullName, "unbind"), "0000:00:1a.0"));
        Assert.Equal(Libc.ENOSPC, new SysfsWriter().Write("/dev/full", "0000:00:1a.0"));
    }

    [Fact]
    public async Task A_process_may_lock_more_memory_and_never_less()
    {
        // Up to its hard limit, a process of our own needs no privilege.
        using var process = Process.Start(new ProcessStartInfo("sh", ["-c", "ulimit -S -l 64 && exec sleep 60"]))!;
        try
        {
            while ((await File.ReadAllTextAsync($"/proc/{process.Id}/comm")).Trim() != "sleep") await Task.Yield();
            Assert.Equal(64 * 1024, await SoftLimitAsync(process.Id));
            var wanted = Math.Min(await HardLimitAsync(process.Id), 1L << 40);

            new ProcessLimits().AllowLockedMemory(process.Id, wanted);
            new ProcessLimits().AllowLockedMemory(process.Id, 4096);

            Assert.Equal(wanted, await SoftLimitAsync(process.Id));
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
        }

        var ended = Assert.Throws<SwitchException>(() => new ProcessLimits().AllowLockedMemory(process.Id, 4096));
        Assert.Equal($"QEMU (process {process.Id}) has ended", ended.Message);
    }

    private static async Task<long> SoftLimitAsync(int process) => Parse((await RowAsync(process))[3]);

    private static async Task<long> HardLimitAsync(int process) => Parse((await RowAsync(process))[4]);

    private static long Parse(string text) => text == "unlimited" ? long.MaxValue : long.Parse(text, CultureInfo.InvariantCulture);

    // Max locked memory       8388608              8388608              bytes
    private static async Task<string[]> RowAsync(int process) =>
        (await File.ReadAllLinesAsync($"/proc/{process}/limits")).Single(line => line.StartsWith("Max locked memory", StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
