using System.Text;
using KvmSwitch.Core;
using KvmSwitch.Linux;
using Xunit;

namespace KvmSwitch.Tests.Linux;

public sealed class CapturedProgramTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_it_writes_is_had_and_nothing_of_ours_is_inherited()
    {
        using var output = new MemoryStream();
        await Shell("/usr/bin/env; cat").RunAsync(output, TimeProvider.System, Stop);
        var names = Encoding.UTF8.GetString(output.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split('=')[0]);
        Assert.Equal(["LANG", "PATH"], names.Order(StringComparer.Ordinal).Where(name => name is not ("PWD" or "OLDPWD" or "SHLVL" or "_")));
    }

    [Fact]
    public async Task Its_last_words_say_why_it_failed()
    {
        var failed = await Assert.ThrowsAsync<SwitchException>(() => Shell("echo one >&2; echo two >&2; echo >&2; exit 3").RunAsync(Stream.Null, TimeProvider.System, Stop));
        Assert.Equal("/bin/sh failed: two", failed.Message);
    }

    [Fact]
    public async Task It_is_ended_when_it_takes_too_long()
    {
        var failed = await Assert.ThrowsAsync<SwitchException>(
            () => (Shell("exec sleep 100") with { Deadline = TimeSpan.FromMilliseconds(200) }).RunAsync(Stream.Null, TimeProvider.System, Stop));
        Assert.Equal(Failure.TimedOut, failed.Failure);
    }

    [Fact]
    public async Task It_is_ended_when_it_writes_too_much()
    {
        var failed = await Assert.ThrowsAsync<SwitchException>(
            () => (Shell("exec cat /dev/zero") with { MaxOutput = 1 << 20 }).RunAsync(Stream.Null, TimeProvider.System, Stop));
        Assert.Equal("/bin/sh wrote more than 1048576 bytes", failed.Message);
    }

    [Fact]
    public async Task One_that_is_not_there_is_said()
    {
        var failed = await Assert.ThrowsAsync<SwitchException>(
            () => (Shell("") with { Program = "/nowhere/xorriso" }).RunAsync(Stream.Null, TimeProvider.System, Stop));
        Assert.StartsWith("/nowhere/xorriso can't be run: ", failed.Message, StringComparison.Ordinal);
    }

    private static CapturedProgram Shell(string script) => new("/bin/sh", ["-c", script]) { Deadline = TimeSpan.FromSeconds(30), MaxOutput = 1 << 20 };
}
