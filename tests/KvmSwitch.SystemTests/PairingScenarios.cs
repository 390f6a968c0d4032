using System.Buffers.Text;
using System.Text.Json.Nodes;
using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>Pairing codes and certificates that don't count. The agent runs on the host here, so no guest has to boot.</summary>
public sealed class PairingScenarios
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static string Agent => Path.Combine(SharedDemo.Inputs.Programs, "kvmswitch-agent");

    [Fact(Timeout = 300_000)]
    public async Task A_code_is_good_once()
    {
        await using var host = await StartAsync();
        var code = await CodeAsync(host);

        var first = await JoinAsync(host, code, "first");
        var second = await JoinAsync(host, code, "second");

        Assert.True(first.ExitCode == 0, first.Error);
        Refused.Sentence(second, Refused.Failed, "wrong, used or expired", "kvmswitch guest pair");
        Assert.Single(await GuestsAsync(host));
        Assert.False(Directory.Exists(StateOf(host, "second")) && Directory.EnumerateFiles(StateOf(host, "second")).Any(), "a refused agent stored something");
    }

    [Fact(Timeout = 300_000)]
    public async Task A_code_that_is_late_or_replaced_is_refused()
    {
        await using var host = await StartAsync();
        var late = await host.RunAsync(Stop, "guest", "pair", "demo", "--for", "1s");
        var expires = DateTimeOffset.Parse(late["expires"]!.GetValue<string>());
        await Condition.HoldsAsync(() => TimeProvider.System.GetUtcNow() > expires.AddMilliseconds(100), "the code has expired", Refused.Patience, Stop);

        Refused.Sentence(await JoinAsync(host, late["code"]!.GetValue<string>(), "late"), Refused.Failed, "wrong, used or expired");

        var replaced = await CodeAsync(host);
        var newest = await CodeAsync(host);
        Refused.Sentence(await JoinAsync(host, replaced, "replaced"), Refused.Failed, "wrong, used or expired");
        Assert.Empty(await GuestsAsync(host));
        var joined = await JoinAsync(host, newest, "newest");
        Assert.True(joined.ExitCode == 0, joined.Error);
        await Refused.ByCommandAsync(host, Refused.Usage, ["at most"], "guest", "pair", "demo", "--for", "2h");
    }

    [Fact(Timeout = 300_000)]
    public async Task Who_guesses_codes_is_soon_not_heard_any_more_and_the_good_code_stays_good_for_a_while()
    {
        await using var host = await StartAsync();
        var code = await CodeAsync(host);

        var answers = new List<ProcessResult>();
        for (var guess = 0; guess < 8; guess++) answers.Add(await JoinAsync(host, Guess(code, guess), "guesser"));

        Assert.All(answers, answer => Assert.Equal(1, answer.ExitCode));
        Refused.Sentence(answers[0], Refused.Failed, "wrong, used or expired");
        Assert.Contains(answers, answer => answer.Error.Contains("too many", StringComparison.Ordinal));
        Assert.Empty(await GuestsAsync(host));

        // A guess comes back every twelve seconds; the code is good for ten minutes.
        ProcessResult? joined = null;
        await Condition.HoldsAsync(
            async () => (joined = await JoinAsync(host, code, "owner")).ExitCode == 0, $"the good code is taken: {joined?.Error}", Refused.Patience, Stop);
        Assert.Single(await GuestsAsync(host));
    }

    [Fact(Timeout = 300_000)]
    public async Task What_is_no_code_is_told_without_asking_anybody()
    {
        await using var host = await StartAsync();

        Refused.Sentence(await JoinAsync(host, "letmein", "none"), Refused.Failed, "ksw1-", "kvmswitch guest pair");
        Refused.Sentence(await JoinAsync(host, (await CodeAsync(host))[..20], "none"), Refused.Failed, "damaged or incomplete");
    }

    [Fact(Timeout = 300_000)]
    public async Task A_revoked_or_foreign_certificate_opens_no_link_and_the_agent_says_why()
    {
        await using var host = await StartAsync();
        await JoinAsync(host, await CodeAsync(host), "guest");
        await using (RunAgent(host, "guest"))
        {
            await host.WaitForStateAsync(IsLive, "the agent is live", Stop);
            await host.RunAsync(Stop, "guest", "revoke", "demo");
            await host.WaitForStateAsync(state => !IsLive(state), "the revoked agent is out", Stop);
        }

        await using (var again = RunAgent(host, "guest"))
        {
            await again.WaitForLineAsync(line => line.Contains("revoked", StringComparison.Ordinal), Refused.Patience, Stop);
            Assert.False(IsLive(await host.RunAsync(Stop, "status")));
        }

        // The same agent and another host: one that has never seen this certificate, at the same address.
        await host.EndDaemonAsync(ProcessSignal.Terminate, Stop);
        Directory.Delete(host.StateDirectory, recursive: true);
        await host.StartDaemonAsync(Stop);
        await using var foreign = RunAgent(host, "guest");
        await foreign.WaitForLineAsync(line => line.Contains("not the paired host", StringComparison.Ordinal), Refused.Patience, Stop);
        Assert.False(IsLive(await host.RunAsync(Stop, "status")));
    }

    private static bool IsLive(JsonNode state) => state["machines"]![0]!["agent_live"]!.GetValue<bool>();

    private static async Task<DemoHost> StartAsync()
    {
        var host = await DemoHost.CreateAsync(
            SharedDemo.Inputs, Stop, text => text.Replace("10.0.2.2:", "127.0.0.1:", StringComparison.Ordinal));
        await host.StartDaemonAsync(Stop);
        return host;
    }

    private static async Task<string> CodeAsync(DemoHost host) =>
        (await host.RunAsync(Stop, "guest", "pair", "demo"))["code"]!.GetValue<string>();

    private static async Task<JsonArray> GuestsAsync(DemoHost host) => (await host.RunAsync(Stop, "guest", "list"))["guests"]!.AsArray();

    private static string StateOf(DemoHost host, string name) => Path.Combine(host.Directory, $"agent-{name}");

    private static Task<ProcessResult> JoinAsync(DemoHost host, string code, string name) =>
        ChildProcess.RunAsync(Agent, ["join", code, "--state", StateOf(host, name)], Refused.Patience, Stop);

    private static ChildProcess RunAgent(DemoHost host, string name) => ChildProcess.Start(Agent, ["run", "--state", StateOf(host, name)]);

    /// <summary>The same code but for the last byte, which belongs to the token (PairingTicket, field 3).</summary>
    private static string Guess(string code, int number)
    {
        const string Prefix = "ksw1-";
        var ticket = Base64Url.DecodeFromChars(code.AsSpan(Prefix.Length));
        ticket[^1] ^= (byte)(number + 1);
        return Prefix + Base64Url.EncodeToString(ticket);
    }
}
