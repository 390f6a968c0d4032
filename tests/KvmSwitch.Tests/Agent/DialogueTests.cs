using KvmSwitch.Agent;
using KvmSwitch.Agent.Enrolment;
using KvmSwitch.Proto.V1;
using Xunit;
using Kind = KvmSwitch.Proto.V1.AgentMessage.MessageOneofCase;

namespace KvmSwitch.Tests.Agent;

/// <summary>What is said on a link beside devices and hotkeys: ejecting, sessions, troubles, and how the link stands.</summary>
public sealed class DialogueTests : IDisposable
{
    private readonly TestCa ca = new();
    private readonly TemporaryDirectory state = new();

    [Fact]
    public async Task Storage_is_ejected_when_the_host_asks()
    {
        await using var host = await StartAsync();
        await using var agent = new RunningAgent(new(state.Path), ejector: new Ejects(key => key == "busy" ? "A program uses it." : null));
        var link = await host.Service.NextLinkAsync();
        Assert.Contains(Ability.Eject, (await link.NextAsync(Kind.Hello)).Hello.Abilities);
        await link.Writer.WriteAsync(new() { Eject = new() { Id = 4, Key = "busy" } });
        Assert.Equal(new EjectReply { Id = 4, Error = "A program uses it." }, (await link.NextAsync(Kind.EjectReply)).EjectReply);
        await link.Writer.WriteAsync(new() { Eject = new() { Id = 5, Key = "free" } });
        Assert.Equal(new EjectReply { Id = 5, Ok = true }, (await link.NextAsync(Kind.EjectReply)).EjectReply);
    }

    [Fact]
    public async Task An_eject_that_takes_long_holds_up_neither_heartbeats_nor_another_answer()
    {
        await using var host = await StartAsync();
        using var done = new ManualResetEventSlim();
        await using var agent = new RunningAgent(new(state.Path), ejector: new Ejects(_ =>
        {
            done.Wait(TimeSpan.FromSeconds(20));
            return null;
        }));
        var link = await host.Service.NextLinkAsync();
        await link.Writer.WriteAsync(new() { Eject = new() { Id = 1, Key = "slow" } });
        await link.Writer.WriteAsync(new() { Eject = new() { Id = 2, Key = "other" } });
        Assert.Equal(new EjectReply { Id = 2, Error = "The guest is still busy with ejecting another device." }, (await link.NextAsync(Kind.EjectReply)).EjectReply);
        await link.NextAsync(Kind.Heartbeat);
        done.Set();
        Assert.Equal(new EjectReply { Id = 1, Ok = true }, (await link.NextAsync(Kind.EjectReply)).EjectReply);
    }

    [Fact]
    public async Task An_agent_that_can_not_eject_does_not_say_so_and_answers_a_host_that_asks_all_the_same()
    {
        await using var host = await StartAsync();
        await using var agent = new RunningAgent(new(state.Path));
        var link = await host.Service.NextLinkAsync();
        Assert.DoesNotContain(Ability.Eject, (await link.NextAsync(Kind.Hello)).Hello.Abilities);
        await link.Writer.WriteAsync(new() { Eject = new() { Id = 4, Key = "any" } });
        Assert.Equal("This guest can't eject devices.", (await link.NextAsync(Kind.EjectReply)).EjectReply.Error);
    }

    [Fact]
    public async Task Sessions_are_told_and_hotkey_troubles_again_on_each_link()
    {
        await using var host = await StartAsync();
        await using var agent = new RunningAgent(new(state.Path));
        var link = await host.Service.NextLinkAsync();
        await agent.Journal.ExpectAsync("Linked to");
        var report = new HotkeyReport { Troubles = { new HotkeyReport.Types.Trouble { Chord = "ctrl+h", Reason = "another program has it" } } };
        agent.Dialogue.Tell(report);
        agent.Dialogue.Tell(SessionEvent.Types.Kind.Lock);
        Assert.Equal(report, (await link.NextAsync(Kind.HotkeyReport)).HotkeyReport);
        Assert.Equal(SessionEvent.Types.Kind.Lock, (await link.NextAsync(Kind.SessionEvent)).SessionEvent.Kind);
        link.Cut();
        Assert.Equal(report, (await (await host.Service.NextLinkAsync()).NextAsync(Kind.HotkeyReport)).HotkeyReport);
    }

    [Fact]
    public async Task The_listener_hears_how_the_link_stands_and_what_the_host_tells()
    {
        await using var host = await StartAsync();
        var heard = new Lines();
        await using var agent = new RunningAgent(new(state.Path), listener: new Hears(heard));
        var link = await host.Service.NextLinkAsync();
        await heard.ExpectAsync("Connected win -");
        await link.Writer.WriteAsync(new() { State = new() { Devices = { new GuestState.Types.Device { Name = "mouse" } } } });
        await heard.ExpectAsync("state mouse");
        link.Cut();
        await heard.ExpectAsync("state -");
        await heard.ExpectAsync("Unreachable win Lost the host");
    }

    [Fact]
    public async Task A_question_is_answered_by_the_host_or_by_the_end_of_the_link()
    {
        await using var host = await StartAsync();
        await using var agent = new RunningAgent(new(state.Path));
        Assert.Equal("There is no link to the host.", await new KvmSwitch.Agent.Link.HostDialogue(null!).AskAsync(new(), "tray"));
        var link = await host.Service.NextLinkAsync();
        await agent.Journal.ExpectAsync("Linked to");
        var asking = agent.Dialogue.AskAsync(new() { Verb = GuestAction.Types.Verb.Return }, "tray");
        var request = (await link.NextAsync(Kind.Request)).Request;
        Assert.Equal("tray", request.Gesture);
        await link.Writer.WriteAsync(new() { Reply = new() { Id = request.Id, Ok = true } });
        Assert.Null(await asking.WaitAsync(TimeSpan.FromSeconds(20)));
        asking = agent.Dialogue.AskAsync(new() { Verb = GuestAction.Types.Verb.Return }, "tray");
        await link.NextAsync(Kind.Request);
        link.Cut();
        Assert.Equal("The link to the host ended before it answered.", await asking.WaitAsync(TimeSpan.FromSeconds(20)));
    }

    public void Dispose()
    {
        ca.Dispose();
        state.Dispose();
    }

    private async Task<TestHost> StartAsync()
    {
        var host = await TestHost.StartAsync(ca);
        new IdentityStore(state.Path).Save(new("win", [HostAddress.TryParse(host.Address)!], ca.Certificate, new PfxCredential(ca.GuestPfx())));
        return host;
    }

    private sealed class Ejects(Func<string, string?> eject) : IEjector
    {
        public string? Eject(string key) => eject(key);
    }

    private sealed class Hears(IJournal journal) : ILinkListener
    {
        public void LinkIs(LinkStanding standing, string? machine, string? trouble) => journal.Write($"{standing} {machine} {trouble ?? "-"}");

        public void StateIs(GuestState? state) => journal.Write($"state {(state is null ? "-" : string.Join('+', state.Devices.Select(one => one.Name)))}");
    }
}
