using KvmSwitch.Agent;
using KvmSwitch.Agent.Hotkeys;
using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Proto.V1;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Agent;

/// <summary>The service's side of the pipe: what it tells, what it takes, and what it does not put up with.</summary>
public sealed class PipeServiceTests
{
    private readonly PipeBoard board = new("1.2.3");
    private readonly List<(GuestAction Action, string Gesture)> asked = [];
    private readonly FakeTimeProvider time = new();
    private Task<string?> answer = Task.FromResult<string?>(null);

    [Fact]
    public async Task A_client_is_told_the_state_first_and_after_every_change()
    {
        await using var client = Connect();
        Assert.Equal((PipeLink.NotPaired, "1.2.3"), ((await client.NextAsync()).State!.Link, board.State.Version));
        Link();
        await client.NextAsync(one => one.State is { Link: PipeLink.Connected, Machine: "win", Trouble: null });
        board.LinkIs(LinkStanding.Unreachable, "win", "The host is away.");
        await client.NextAsync(one => one.State is { Link: PipeLink.Unreachable, Trouble: "The host is away." });
    }

    [Fact]
    public async Task What_arrives_and_leaves_is_noted_but_not_what_was_here_from_the_start()
    {
        await using var client = Connect();
        Link();
        board.StateIs(State(("keyboard", "Main keyboard", true), ("mouse", "", false)));
        board.StateIs(State(("keyboard", "Main keyboard", true), ("mouse", "", true)));
        Assert.Equal(new(PipeNoticeKind.Arrived, "mouse", null), (await client.NextAsync(one => one.Notice is not null)).Notice);
        // The link is lost, and the keyboard is taken home meanwhile.
        board.StateIs(null);
        board.StateIs(State(("mouse", "", true)));
        Assert.Equal(new(PipeNoticeKind.Left, "Main keyboard", null), (await client.NextAsync(one => one.Notice is not null)).Notice);
    }

    [Fact]
    public async Task A_request_is_asked_of_the_host_and_its_answer_comes_back()
    {
        Link();
        board.StateIs(State(("mouse", "", false)));
        await using var client = Connect();
        answer = Task.FromResult<string?>("The mouse is busy.");
        await client.SendAsync(new ToService(7, PipeVerb.Request, ["mouse"], "tray"));
        Assert.Equal(new(7, "The mouse is busy."), (await client.NextAsync(one => one.Reply is not null)).Reply);
        Assert.Equal((GuestAction.Types.Verb.Request, "mouse", "tray"), (asked[0].Action.Verb, asked[0].Action.Targets.Single(), asked[0].Gesture));
    }

    [Theory]
    [InlineData(0, "tray", "nonsense", "no 'nonsense'")]
    [InlineData(1, "tray", "", "Name what")]
    [InlineData(1, "root", "mouse", "who asks")]
    [InlineData(7, "tray", "mouse", "verb")]
    public async Task What_the_state_does_not_offer_is_refused_here(int number, string gesture, string target, string reason)
    {
        var verb = (PipeVerb)number;
        Link();
        board.StateIs(State(("mouse", "", true)));
        var objection = PipeRules.Objection(new(1, verb, target.Length == 0 ? [] : [target], gesture), board.State);
        Assert.Contains(reason, objection, StringComparison.Ordinal);
        await using var client = Connect();
        if (!Enum.IsDefined(verb))
            return;
        await client.SendAsync(new ToService(1, verb, target.Length == 0 ? [] : [target], gesture));
        Assert.Equal(objection, (await client.NextAsync(one => one.Reply is not null)).Reply!.Error);
        Assert.Empty(asked);
    }

    [Fact]
    public async Task Without_a_link_the_reason_is_the_answer()
    {
        board.LinkIs(LinkStanding.Unreachable, "win", "Can't reach the host: it is off.");
        await using var client = Connect();
        await client.SendAsync(new ToService(1, PipeVerb.Return, [], "tray"));
        Assert.Equal("Can't reach the host: it is off.", (await client.NextAsync(one => one.Reply is not null)).Reply!.Error);
    }

    [Fact]
    public async Task A_hotkey_that_fails_is_noted_for_all()
    {
        Link();
        await using var client = Connect();
        await using var other = Connect();
        answer = Task.FromResult<string?>("Nothing is here.");
        await client.SendAsync(new ToService(1, PipeVerb.Return, [], "hotkey"));
        Assert.Equal(new(PipeNoticeKind.Failed, null, "Nothing is here."), (await other.NextAsync(one => one.Notice is not null)).Notice);
    }

    [Fact]
    public async Task Hotkeys_that_do_not_work_in_a_session_are_told_to_all_until_it_leaves()
    {
        IReadOnlyList<PipeHotkeyTrouble> told = [];
        board.Troubled = troubles => told = troubles;
        board.Watch([new Hotkey([[29, 97], [35]], new() { Verb = GuestAction.Types.Verb.Return }, "ctrl+h")]);
        await using var watcher = Connect();
        await watcher.NextAsync(one => one.State!.Hotkeys is [{ Conflict: false, Keys: [[29, 97], [35]] }]);
        var client = Connect();
        await client.SendAsync(new ToService(1, PipeVerb.Return, [], "hotkey", [new("ctrl+h", "another\u001b program has it"), new("none of ours", "lies")]));
        await watcher.NextAsync(one => one.State?.Hotkeys is [{ Conflict: true }]);
        Assert.Equal([new("ctrl+h", "another program has it")], told);
        await client.LeaveAsync();
        Assert.Null(await client.Serving);
        await watcher.NextAsync(one => one.State?.Hotkeys is [{ Conflict: false }]);
        Assert.Empty(told);
    }

    [Theory]
    [InlineData("garbage\n", "it speaks another language")]
    [InlineData("{}\n", "it speaks another language")]
    [InlineData("null\n", "it speaks another language")]
    [InlineData("{\"id\":1,\"verb\":\"Explode\",\"targets\":[],\"gesture\":\"tray\"}\n", "it speaks another language")]
    [InlineData("{\"id\":1,\"verb\":\"Return\",\"targets\":[null],\"gesture\":\"tray\"}\n", "it speaks another language")]
    [InlineData("\0\u0001\n", "it speaks another language")]
    public async Task Garbage_ends_the_connection_and_no_other(string garbage, string why)
    {
        await using var good = Connect();
        var bad = Connect();
        await bad.SendAsync(garbage);
        Assert.Equal(why, await bad.Serving.WaitAsync(TimeSpan.FromSeconds(20)));
        await good.NextAsync();
        Link();
        await good.NextAsync(one => one.State is { Link: PipeLink.Connected });
    }

    [Fact]
    public async Task A_line_without_end_ends_the_connection()
    {
        var client = Connect();
        await client.SendAsync(new string('x', PipeContract.LongestToService));
        Assert.Equal("a line is longer than 4096 bytes", await client.Serving.WaitAsync(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task A_flood_ends_the_connection()
    {
        var client = Connect();
        var line = "{\"id\":1,\"verb\":\"Return\",\"targets\":[],\"gesture\":\"tray\"}\n";
        await client.SendAsync(string.Concat(Enumerable.Repeat(line, 30)));
        Assert.Equal("it says too much", await client.Serving.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Empty(asked);
    }

    [Fact]
    public async Task Who_asks_at_a_human_pace_goes_on_for_ever()
    {
        Link();
        await using var client = Connect();
        for (ulong id = 1; id <= 60; id++)
        {
            await client.SendAsync(new ToService(id, PipeVerb.Return, [], "tray"));
            Assert.Equal(id, (await client.NextAsync(one => one.Reply is not null)).Reply!.Id);
            time.Advance(TimeSpan.FromMilliseconds(250));
        }
    }

    [Fact]
    public async Task Who_reads_nothing_is_left_and_the_service_holds_no_more_of_it()
    {
        var client = Connect();
        for (var i = 0; i < 500; i++)
            board.Note(new(PipeNoticeKind.Failed, null, new string('x', 100)));
        Assert.Equal("it does not read", await client.Serving.WaitAsync(TimeSpan.FromSeconds(20)));
    }

    private PipeSide Connect() => new(new(
        board,
        (action, gesture) =>
        {
            asked.Add((action, gesture));
            return answer;
        },
        time));

    private void Link() => board.LinkIs(LinkStanding.Connected, "win", null);

    private static GuestState State(params (string Name, string Label, bool Here)[] devices) => new()
    {
        Devices = { devices.Select(one => new GuestState.Types.Device { Name = one.Name, Label = one.Label, Here = one.Here, MayRequest = true }) },
    };
}
