using System.Globalization;
using KvmSwitch.Core;
using KvmSwitch.Linux;
using Xunit;

namespace KvmSwitch.Tests.Linux;

public sealed class ProcessTests : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("kvmswitch-process-");

    private string Output => Path.Combine(_directory.FullName, "out.log");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task The_exit_code_reaches_the_parent_and_output_and_errors_are_appended()
    {
        await File.WriteAllTextAsync(Output, "before\n");

        Assert.Equal(7, await RunAsync("echo one; echo two >&2; exit 7"));

        Assert.Equal("before\none\ntwo\n", await File.ReadAllTextAsync(Output));
    }

    [Fact]
    public async Task The_child_has_a_session_of_its_own_and_our_pid_is_the_programs()
    {
        using var child = await LaunchAsync("ps -o pid=,sid=,pgid= -p $$; pwd; readlink /proc/$$/fd/0");
        Assert.Equal(0, await child.Exited.WaitAsync(Deadline));

        var lines = (await File.ReadAllLinesAsync(Output)).Select(line => line.Trim()).ToArray();
        Assert.Equal([$"{child.Pid}", $"{child.Pid}", $"{child.Pid}"], lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(["/", "/dev/null"], lines[1..]);
    }

    [Fact]
    public async Task No_descriptor_of_ours_is_inherited_even_without_close_on_exec()
    {
        using var inheritable = Libc.Open(_directory.FullName, Libc.O_RDONLY | Libc.O_DIRECTORY, 0);
        Assert.False(inheritable.IsInvalid);

        using var child = await new DetachedProcess().LaunchAsync(new ProcessSpec("sleep", "/usr/bin/sleep", ["600"], Output), CancellationToken.None);

        // While it is loaded it opens its libraries; what it has inherited stays.
        string[] expected = ["/dev/null", Output, Output];
        string?[] open;
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        using var look = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        do open = [.. Directory.GetFiles($"/proc/{child.Pid}/fd").Order().Select(link => new FileInfo(link).LinkTarget)];
        while (!open.SequenceEqual(expected) && await look.WaitForNextTickAsync(CancellationToken.None) && !patience.IsCancellationRequested);
        Assert.True(child.Signal(ProcessSignal.Kill));

        Assert.Equal(expected, open);
        await child.Exited.WaitAsync(Deadline);
    }

    [Fact]
    public async Task Signals_are_back_to_default_and_none_is_blocked()
    {
        Assert.Equal(0, await RunAsync("grep -E '^Sig(Blk|Ign)' /proc/self/status"));

        // glibc keeps 32 and 33 to itself; no program can use them.
        const ulong Reserved = 0x180000000;
        var masks = (await File.ReadAllLinesAsync(Output)).Select(line => ulong.Parse(line.Split('\t')[1], NumberStyles.HexNumber) & ~Reserved);
        Assert.Equal([0ul, 0ul], masks);
    }

    [Fact]
    public async Task Only_the_environment_that_was_asked_for_reaches_the_child()
    {
        using var child = await new DetachedProcess().LaunchAsync(
            new ProcessSpec("env", "/usr/bin/env", [], Output) { Environment = ProcessSpecs.Environment("GREETING", "hello") }, CancellationToken.None);
        await child.Exited.WaitAsync(Deadline);

        Assert.Equal(["GREETING", "LANG", "PATH"], (await File.ReadAllLinesAsync(Output)).Select(line => line.Split('=')[0]).Order());
    }

    [Fact]
    public async Task Another_user_gets_no_capability_and_no_way_to_regain_one()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "running as another user needs root");
        var spec = ProcessSpecs.Shell("id -un; id -gn; grep -E '^(CapPrm|CapBnd|NoNewPrivs)' /proc/self/status", Output) with { User = new RunAs("nobody", "nogroup") };

        using var child = await new DetachedProcess().LaunchAsync(spec, CancellationToken.None);
        Assert.Equal(0, await child.Exited.WaitAsync(Deadline));

        Assert.Equal(
            ["nobody", "nogroup", "CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"], await File.ReadAllLinesAsync(Output));
    }

    [Theory]
    [InlineData(ProcessSignal.Terminate, 143)]
    [InlineData(ProcessSignal.Kill, 137)]
    public async Task A_signal_ends_it_and_shows_in_the_exit_code(ProcessSignal signal, int code)
    {
        using var child = await new DetachedProcess().LaunchAsync(new ProcessSpec("sleep", "/usr/bin/sleep", ["600"], Output), CancellationToken.None);

        Assert.True(child.Signal(signal));

        Assert.Equal(code, await child.Exited.WaitAsync(Deadline));
        Assert.False(child.Signal(signal));
    }

    [Theory]
    [InlineData("/nowhere/program", "test can't be started: there is no program /nowhere/program")]
    [InlineData("/etc/passwd", "test can't be started: /etc/passwd is not executable")]
    [InlineData("sleep", "test can't be started: sleep is not an absolute path")]
    public async Task A_program_that_cannot_run_is_named(string program, string message)
    {
        var error = await Assert.ThrowsAsync<SwitchException>(
            () => new DetachedProcess().LaunchAsync(new ProcessSpec("test", program, [], Output), CancellationToken.None));

        Assert.Equal(message, error.Message);
    }

    [Fact]
    public async Task What_the_kernel_refuses_to_execute_is_told_at_once()
    {
        var program = Path.Combine(_directory.FullName, "script");
        await File.WriteAllTextAsync(program, "#!/nowhere/interpreter\n");
        Assert.Equal(0, await RunAsync($"chmod +x {program}"));

        await Assert.ThrowsAsync<SwitchException>(
            () => new DetachedProcess().LaunchAsync(new ProcessSpec("test", program, [], Output), CancellationToken.None));
    }

    [Fact]
    public async Task An_adopted_process_is_told_from_another_by_its_argument_and_its_end_is_seen()
    {
        using var child = await new DetachedProcess().LaunchAsync(new ProcessSpec("sleep", "/usr/bin/sleep", ["600"], Output), CancellationToken.None);

        Assert.Null(ProcessHandle.Open(child.Pid, "60"));
        using var adopted = ProcessHandle.Open(child.Pid, "600");
        Assert.NotNull(adopted);
        Assert.False(adopted.Exited.IsCompleted);
        Assert.True(adopted.Signal(ProcessSignal.Kill));

        Assert.Equal(137, await child.Exited.WaitAsync(Deadline));
        Assert.Null(await adopted.Exited.WaitAsync(Deadline));
        Assert.Null(ProcessHandle.Open(child.Pid, "600"));
    }

    [Fact]
    public async Task Disposing_an_adopted_process_ends_the_watch_and_not_the_process()
    {
        using var child = await new DetachedProcess().LaunchAsync(new ProcessSpec("sleep", "/usr/bin/sleep", ["600"], Output), CancellationToken.None);
        var adopted = ProcessHandle.Open(child.Pid, "600")!;

        adopted.Dispose();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => adopted.Exited.WaitAsync(Deadline));
        Assert.True(child.Signal(ProcessSignal.Kill));
        Assert.Equal(137, await child.Exited.WaitAsync(Deadline));
    }

    [Fact]
    public async Task Many_children_end_each_with_its_own_code_beside_those_of_dotnet()
    {
        var codes = Enumerable.Range(0, 20).Select(async i => (i, await RunAsync($"exit {i}")));
        using var other = System.Diagnostics.Process.Start("/bin/sh", ["-c", "exit 3"]);

        Assert.All(await Task.WhenAll(codes), pair => Assert.Equal(pair.i, pair.Item2));
        await other.WaitForExitAsync().WaitAsync(Deadline);
        Assert.Equal(3, other.ExitCode);
    }

    [Fact]
    public async Task A_child_whose_handle_was_disposed_leaves_no_zombie()
    {
        var child = await LaunchAsync("exit 0");
        child.Dispose();

        Assert.Equal(0, await child.Exited.WaitAsync(Deadline));
        Assert.False(Directory.Exists($"/proc/{child.Pid}"));
    }

    private async Task<int?> RunAsync(string script)
    {
        using var child = await LaunchAsync(script);
        return await child.Exited.WaitAsync(Deadline);
    }

    private Task<ProcessHandle> LaunchAsync(string script) => new DetachedProcess().LaunchAsync(ProcessSpecs.Shell(script, Output), CancellationToken.None);
}
