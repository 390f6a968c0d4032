using System.ComponentModel;
using System.Net.Sockets;
using System.Text;
using Grpc.Core;
using KvmSwitch.Cli;
using KvmSwitch.Cli.Connection;
using KvmSwitch.Cli.Parsing;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Xunit;

namespace KvmSwitch.Tests.Cli;

/// <summary>All that can be wrong between a command line and the daemon: one sentence and the right exit code each.</summary>
public sealed class FailureTests : IDisposable
{
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("ks-cli");

    public void Dispose() => directory.Delete(recursive: true);

    [Theory, InlineData(1), InlineData(2), InlineData(4), InlineData(5)]
    public async Task The_daemon_decides_the_exit_code_and_the_sentence(int exit)
    {
        await using var daemon = await FakeDaemon.StartAsync();
        daemon.Control.Failure = FakeControl.Refusal(exit, "win is off: start it with 'kvmswitch vm start win'", StatusCode.Unavailable);
        var run = await CliRun.AsyncWith(daemon, "give", "desk");
        Assert.Equal((exit, "", "kvmswitch: win is off: start it with 'kvmswitch vm start win'\n"), (run.Exit, run.Out, run.Error));
    }

    [Fact]
    public async Task An_exit_code_that_we_do_not_know_is_a_failure()
    {
        await using var daemon = await FakeDaemon.StartAsync();
        daemon.Control.Failure = FakeControl.Refusal(77, "no");
        Assert.Equal(1, (await CliRun.AsyncWith(daemon, "status")).Exit);
    }

    [Fact]
    public async Task A_sentence_of_the_daemon_cannot_steer_the_terminal()
    {
        await using var daemon = await FakeDaemon.StartAsync();
        daemon.Control.Failure = FakeControl.Refusal(4, "guest \e[31mevil\ntwo");
        Assert.Equal("kvmswitch: guest \ufffd[31mevil two\n", (await CliRun.AsyncWith(daemon, "status")).Error);
    }

    [Fact]
    public async Task A_socket_that_is_not_there_means_that_the_daemon_is_not_running()
    {
        var path = InDirectory("none.sock");
        var run = await CliRun.Async(["status", "--socket", path]);
        Assert.Equal((3, $"kvmswitch: the daemon is not running: nothing listens at {path}; start kvmswitchd with this socket, or name another one with --socket\n"), (run.Exit, run.Error));
    }

    [Fact]
    public void The_usual_socket_is_started_with_systemd()
    {
        var failure = DaemonSocket.Describe(new Win32Exception(Errno.ConnectionRefused), "/run/kvmswitch/control.sock");
        Assert.Equal(ExitCode.NoDaemon, failure.Exit);
        Assert.EndsWith("nothing listens at /run/kvmswitch/control.sock; start it with 'sudo systemctl start kvmswitchd'", failure.Message);
    }

    [Fact]
    public async Task A_stale_socket_a_file_and_a_path_through_a_file_mean_the_same()
    {
        var stale = InDirectory("stale.sock");
        using (var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            socket.Bind(new UnixDomainSocketEndPoint(stale));
            Assert.Equal(3, (await CliRun.Async(["status", "--socket", stale])).Exit);
        }

        var file = InDirectory("file");
        await File.WriteAllTextAsync(file, "");
        foreach (var path in new[] { file, Path.Combine(file, "control.sock") })
        {
            var run = await CliRun.Async(["status", "--socket", path]);
            Assert.Equal(3, run.Exit);
            Assert.StartsWith($"kvmswitch: the daemon is not running: nothing listens at {path}", run.Error);
        }
    }

    [Fact]
    public void No_permission_names_the_group()
    {
        var failure = DaemonSocket.Describe(new Win32Exception(Errno.NoAccess), "/run/kvmswitch/control.sock");
        Assert.Equal(ExitCode.Refused, failure.Exit);
        Assert.Equal("no permission to use /run/kvmswitch/control.sock: join the group 'kvmswitch' ('sudo usermod -aG kvmswitch $USER', then log in again)", failure.Message);
    }

    [Fact]
    public async Task An_older_daemon_is_named_as_such()
    {
        await using var daemon = await FakeDaemon.StartAsync(knowsControl: false);
        var run = await CliRun.AsyncWith(daemon, "guest", "pair");
        Assert.Equal(1, run.Exit);
        Assert.StartsWith("kvmswitch: the running daemon does not know 'guest pair': it has another version than this kvmswitch (0.1.0)", run.Error);
    }

    [Theory, InlineData("status"), InlineData("give desk"), InlineData("vm start")]
    public async Task A_daemon_that_goes_away_in_the_middle_is_told(string line)
    {
        await using var daemon = await FakeDaemon.StartAsync();
        daemon.Control.Before = context =>
        {
            context.GetHttpContext().Features.GetRequiredFeature<IConnectionLifetimeFeature>().Abort();
            return Task.CompletedTask;
        };
        var run = await CliRun.AsyncWith(daemon, line.Split(' '));
        Assert.Equal(3, run.Exit);
        Assert.StartsWith("kvmswitch: the daemon closed the connection before it had answered", run.Error);
    }

    [Theory]
    [InlineData("{\"QMP\": {\"version\": {}}}\r\n", "does not talk like the KvmSwitch daemon")]
    [InlineData("", "(journalctl -u kvmswitchd)")]
    public async Task Something_else_on_the_socket_is_recognised(string greeting, string sentence)
    {
        var path = InDirectory("other.sock");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        var serving = GreetAsync(listener, greeting);
        var run = await CliRun.Async(["status", "--socket", path]);
        await serving;
        Assert.Equal(3, run.Exit);
        Assert.Contains(sentence, run.Error);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
    }

    [Fact]
    public async Task A_give_that_gets_no_answer_in_time_says_where_to_look()
    {
        var failure = CallFailure.Describe(new RpcException(new Status(StatusCode.DeadlineExceeded, "")), Call.Change("give"), "/s");
        Assert.Equal((ExitCode.Failed, "the daemon did not answer within 1m: 'kvmswitch status' shows where things are"), (failure.Exit, failure.Message));
        await using var daemon = await FakeDaemon.StartAsync();
        daemon.Control.Before = daemon.Control.EndOfCallAsync;
        var run = await CliRun.AsyncWith(daemon, "complete", "devices");
        Assert.Equal((1, "", ""), (run.Exit, run.Out, run.Error));
    }

    [Theory, InlineData("take desk", "kvmswitch: interrupted; 'kvmswitch status' shows how far it came\n"), InlineData("give desk", "kvmswitch: interrupted; 'kvmswitch status' shows how far it came\n"), InlineData("vm start", "kvmswitch: interrupted; 'kvmswitch status' shows how far it came\n")]
    public async Task Ctrl_C_ends_the_call_and_exits_with_130(string line, string error)
    {
        await using var daemon = await FakeDaemon.StartAsync();
        using var stop = new CancellationTokenSource();
        daemon.Control.Before = async context =>
        {
            await stop.CancelAsync();
            await daemon.Control.EndOfCallAsync(context);
        };
        var run = await CliRun.Async([.. line.Split(' '), "--socket", daemon.Socket], cancellation: stop.Token);
        Assert.Equal((130, "", error), (run.Exit, run.Out, run.Error));
        await daemon.Control.CallCancelled.Task.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task A_question_leaves_the_signals_to_end_it()
    {
        await using var daemon = await FakeDaemon.StartAsync();
        var around = new Surroundings(TextWriter.Null, TextWriter.Null);
        var exit = await Task.Run(() => CommandLine.RunAsync(["status", "--socket", daemon.Socket], around, () => throw new InvalidOperationException()));
        Assert.Equal(ExitCode.Done, exit);
        Assert.True(((Request.Run)CommandLine.Parse(["status", "--watch"], around)).Command.MindsInterruption);
        Assert.True(((Request.Run)CommandLine.Parse(["give", "desk"], around)).Command.MindsInterruption);
    }

    [Fact]
    public async Task Output_that_nobody_reads_ends_quietly_and_a_full_disk_is_told()
    {
        var gone = await CliRun.Async(["completion", "bash"], around => around with { Out = new BrokenWriter(new IOException("Broken pipe", 32)) });
        Assert.Equal((1, ""), (gone.Exit, gone.Error));
        var full = await CliRun.Async(["completion", "bash"], around => around with { Out = new BrokenWriter(new IOException("No space left on device")) });
        Assert.Equal((1, "kvmswitch: can't write the output: No space left on device\n"), (full.Exit, full.Error));
    }

    [Fact]
    public async Task A_defect_is_one_sentence_too()
    {
        var run = await CliRun.Async(["completion", "bash"], around => around with { Out = new BrokenWriter(new InvalidOperationException("oh")) });
        Assert.Equal((1, "kvmswitch: unexpected InvalidOperationException: oh\n"), (run.Exit, run.Error));
    }

    private static async Task GreetAsync(Socket listener, string greeting)
    {
        using var peer = await listener.AcceptAsync();
        await peer.SendAsync(Encoding.ASCII.GetBytes(greeting));
        if (greeting.Length == 0)
        {
            peer.Shutdown(SocketShutdown.Send);
        }

        // Closing with bytes unread would be a reset, which overtakes the greeting.
        await DrainAsync(peer);
    }

    private static async Task DrainAsync(Socket peer)
    {
        var buffer = new byte[4096];
        try
        {
            int count;
            do
            {
                count = await peer.ReceiveAsync(buffer);
            }
            while (count > 0);
        }
        catch (SocketException end) when (end.SocketErrorCode == SocketError.ConnectionReset)
        {
            peer.Close(); // The CLI hung up with our greeting unread: an end like any other.
        }
    }

    private string InDirectory(string name) => Path.Combine(directory.FullName, name);

    private sealed class BrokenWriter(Exception failure) : TextWriter
    {
        public override Encoding Encoding => Encoding.UTF8;

        public override void Write(char value) => throw failure;

        public override void Write(string? value) => throw failure;
    }
}
