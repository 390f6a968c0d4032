using System.Text.Json;
using System.Text.Json.Nodes;
using KvmSwitch.Qmp;
using KvmSwitch.Testing.Qmp;
using Xunit;

namespace KvmSwitch.Tests.Qmp;

public sealed class QmpAnswerTests : IAsyncLifetime
{
    private readonly FakeQemu _qemu = FakeQemu.Start(SocketPath.New());
    private QmpClient _client = null!;

    public async ValueTask InitializeAsync() => _client = await QmpClient.ConnectAsync(_qemu.SocketPath);

    public async ValueTask DisposeAsync()
    {
        await _client.DisposeAsync();
        await _qemu.DisposeAsync();
    }

    [Theory]
    [InlineData("query-status", """{}""")]
    [InlineData("query-status", """[]""")]
    [InlineData("query-status", """{"status":1,"running":true}""")]
    [InlineData("query-status", """{"status":"running","running":"yes"}""")]
    [InlineData("query-version", """{"qemu":{"major":7,"minor":2},"package":""}""")]
    [InlineData("query-version", """{"qemu":{"major":7,"minor":2,"micro":1e30},"package":""}""")]
    [InlineData("qom-list", """{}""")]
    [InlineData("qom-list", """[1]""")]
    [InlineData("qom-list", """[{"name":"k1"}]""")]
    public async Task An_answer_of_another_shape_fails_its_command_alone(string command, string answer)
    {
        _qemu.Next(command, new FakeFault.Return(JsonNode.Parse(answer)!));
        await Assert.ThrowsAsync<QmpProtocolException>(() => command switch
        {
            "query-status" => _client.QueryStatusAsync(),
            "query-version" => _client.QueryVersionAsync(),
            _ => _client.ListPeripheralsAsync(),
        });
        Assert.True((await _client.QueryStatusAsync()).Running);
    }

    [Fact]
    public void A_text_that_is_not_unicode_is_refused()
    {
        var answer = JsonElement.Parse("""{"status":"\ud800"}""");
        Assert.Throws<QmpProtocolException>(() => answer.TextOf("query-status", "status"));
    }

    [Theory]
    [InlineData("prelaunch", QmpRunState.PreLaunch)]
    [InlineData("guest-panicked", QmpRunState.GuestPanicked)]
    [InlineData("io-error", QmpRunState.IoError)]
    [InlineData("from-the-future", QmpRunState.Unknown)]
    public async Task Run_states_are_known_or_kept_as_they_are(string raw, QmpRunState expected)
    {
        _qemu.Next("query-status", new FakeFault.Return(new JsonObject { ["status"] = raw, ["running"] = false }));
        Assert.Equal(new QmpStatus(expected, false, raw), await _client.QueryStatusAsync());
    }

    [Fact]
    public async Task A_raw_answer_is_the_callers_own()
    {
        _qemu.Next("query-block", new FakeFault.Return(new JsonArray("a", 1, true)));
        var answer = await _client.ExecuteAsync("query-block");
        await _client.QueryStatusAsync();
        Assert.Equal("""["a",1,true]""", answer.GetRawText());
    }
}
