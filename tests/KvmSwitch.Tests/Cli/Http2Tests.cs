using System.Net.Sockets;
using CsCheck;
using KvmSwitch.Cli.Connection.Http2;
using KvmSwitch.Proto.V1;
using Xunit;

namespace KvmSwitch.Tests.Cli;

/// <summary>The command line's own gRPC: against a real server where it answers, against bytes where it lies.</summary>
public sealed class Http2Tests : IAsyncLifetime
{
    private static readonly byte[] Settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    private FakeDaemon daemon = null!;

    /// <summary>What a server sends after its settings, and which no gRPC server sends.</summary>
    public static TheoryData<string, byte[]> Lies { get; } = new()
    {
        { "a frame that nobody allowed", [1, 0, 0, 0, 0, 0, 0, 0, 1] },
        { "an end without a status", [0, 0, 0, 0, 1, 0, 0, 0, 1] },
        { "more padding than frame", [0, 0, 2, 0, 8, 0, 0, 0, 1, 9, 0] },
        { "headers of a table that does not exist", [0, 0, 1, 1, 4, 0, 0, 0, 1, 0xfe] },
        { "compressed text in a header", [0, 0, 3, 1, 4, 0, 0, 0, 1, 0, 0x81, 0x1f] },
        { "a cut-off header", [0, 0, 2, 1, 4, 0, 0, 0, 1, 0, 5] },
        { "a page of a web server", [0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88] },
        { "a compressed message", [0, 0, 5, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0] },
        { "a message without end", [0, 0, 5, 0, 0, 0, 0, 0, 1, 0, 0xff, 0, 0, 0] },
        { "a message that is none", [0, 0, 6, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0xff] },
        { "a reset that is cut off", [0, 0, 1, 3, 0, 0, 0, 0, 1, 0] },
    };

    public async ValueTask InitializeAsync() => daemon = await FakeDaemon.StartAsync();

    public ValueTask DisposeAsync() => daemon.DisposeAsync();

    [Fact]
    public async Task An_answer_may_be_larger_than_any_window()
    {
        daemon.Control.State = Large(20_000);
        var run = await CliRun.AsyncWith(daemon, "complete", "devices");
        Assert.Equal((0, 20_000), (run.Exit, run.Out.Count(letter => letter == '\n')));
    }

    [Fact]
    public async Task A_stream_may_go_on_for_longer_than_any_window()
    {
        for (var count = 0; count < 100; count++) daemon.Control.Watched.Add(Large(200));
        daemon.Control.Before = _ => daemon.Control.Asked.Count > 99 ? throw FakeControl.Refusal(1, "enough") : Task.CompletedTask;
        var run = await CliRun.AsyncWith(daemon, "status", "--watch", "--json");
        Assert.Equal((99, "kvmswitch: enough\n"), (run.Out.Count(letter => letter == '\n'), run.Error));
    }

    [Fact]
    public async Task A_request_may_need_several_frames_and_one_beyond_the_window_is_refused()
    {
        var names = Enumerable.Range(0, 4_000).Select(number => $"device{number}").ToArray();
        Assert.Equal(0, (await CliRun.AsyncWith(daemon, ["give", .. names])).Exit);
        Assert.Equal(names, ((GiveRequest)Assert.Single(daemon.Control.Asked)).Targets);
        var run = await CliRun.AsyncWith(daemon, ["give", .. names, .. names]);
        Assert.Equal(1, run.Exit);
        Assert.Matches("^kvmswitch: the daemon failed at 'give': the request is [0-9]+ bytes long, and 65535 are allowed\n$", run.Error);
    }

    [Theory]
    [InlineData("100 % of Zoë's keyboards ✓ are away")]
    [InlineData("%41 is no letter here")]
    public async Task A_sentence_arrives_as_it_was_written(string sentence)
    {
        daemon.Control.Failure = FakeControl.Refusal(4, sentence);
        Assert.Equal($"kvmswitch: {sentence}\n", (await CliRun.AsyncWith(daemon, "status")).Error);
    }

    [Theory]
    [MemberData(nameof(Lies))]
    public async Task A_peer_that_lies_is_not_the_daemon(string lie, byte[] bytes)
    {
        var run = await AskAsync([.. Settings, .. bytes]);
        Assert.True(run.Exit == 3 && run.Error.Contains("does not talk like the KvmSwitch daemon", StringComparison.Ordinal), $"{lie}: {run}");
    }

    [Fact]
    public async Task A_daemon_that_takes_no_more_calls_or_breaks_one_off_has_not_answered()
    {
        foreach (byte[] bytes in new byte[][] { [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8] })
        {
            var run = await AskAsync([.. Settings, .. bytes]);
            Assert.Equal(3, run.Exit);
            Assert.StartsWith("kvmswitch: the daemon closed the connection before it had answered", run.Error);
        }
    }

    [Fact]
    public async Task Pings_settings_and_frames_of_later_versions_are_lived_with()
    {
        byte[] ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        byte[] unknown = [0, 0, 2, 0x7f, 0xff, 0, 0, 0, 1, 1, 1];
        byte[] state = [0, 0, 7, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0]; // an empty state, with a byte of padding
        byte[] head = [0, 0, 1, 1, 0, 0, 0, 0, 1, 0x88, 0, 0, 0, 9, 4, 0, 0, 0, 1];
        var run = await AskAsync([.. Settings, .. ping, .. unknown, .. head, .. state]);
        Assert.Equal((0, ""), (run.Exit, run.Out));
        Assert.StartsWith("nothing is configured yet", run.Error);
    }

    [Fact]
    public void Any_bytes_as_headers_are_read_or_refused() => Gen.Byte.Array[0, 60].Sample(bytes =>
    {
        try
        {
            Assert.DoesNotContain("", FieldBlock.Read(bytes).Keys);
        }
        catch (Http2ProtocolException refusal)
        {
            Assert.NotEmpty(refusal.Message);
        }
    });

    [Fact]
    public void A_header_is_read_as_it_was_written() => Gen.Select(Gen.String[Gen.Char.AlphaNumeric, 1, 300], Gen.String[Gen.Char[' ', '~'], 0, 20_000]).Sample((name, value) =>
    {
        using var block = new MemoryStream();
        FieldBlock.Write(block, name, value);
        Assert.Equal((name, value), FieldBlock.Read(block.ToArray()).Select(field => (field.Key, field.Value)).Single());
    });

    [Fact]
    public void Messages_are_cut_the_same_however_they_arrive() => Gen.Select(Gen.Byte.Array[0, 50].Array[0, 6], Gen.Int[1, 20]).Sample((messages, size) =>
    {
        var (buffer, taken) = (new MessageBuffer(), new List<byte[]>());
        foreach (var part in messages.SelectMany(message => MessageBuffer.Wrap(message)).Chunk(size))
        {
            buffer.Add(part);
            while (buffer.Take() is { } message) taken.Add(message);
        }

        Assert.Equal(messages, taken);
        Assert.True(buffer.IsEmpty);
    });

    private static State Large(int devices)
    {
        var state = new State();
        state.Devices.AddRange(Enumerable.Range(0, devices).Select(number => new Device { Name = $"device{number}", Owner = "host", Placement = "host" }));
        return state;
    }

    /// <summary>Asks somebody who answers with these bytes, and then listens until we hang up.</summary>
    private static async Task<CliRun> AskAsync(byte[] answer)
    {
        var directory = Directory.CreateTempSubdirectory("ks-http2");
        try
        {
            var path = Path.Combine(directory.FullName, "s");
            using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            listener.Bind(new UnixDomainSocketEndPoint(path));
            listener.Listen();
            var run = CliRun.Async(["status", "--socket", path]);
            using var peer = await listener.AcceptAsync();
            await peer.SendAsync(answer);
            return await run;
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }
}
