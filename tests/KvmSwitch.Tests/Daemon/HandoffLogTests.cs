using System.Globalization;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Persistence;
using KvmSwitch.Tests.Guests;
using Microsoft.Extensions.Logging;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

public sealed class HandoffLogTests : IDisposable
{
    private static readonly DeviceId Keyboard = DeviceId.Parse("keyboard");
    private readonly Folder _folder = new();
    private readonly RecordingLog _log = new();

    private string FilePath => _folder["history.jsonl"];

    public void Dispose()
    {
        _folder.Dispose();
        _log.Dispose();
    }

    [Fact]
    public async Task The_newest_comes_first_and_survives_a_restart()
    {
        await using (var log = Open())
        {
            for (var i = 1; i <= 3; i++) log.Record(Example(i));
            Assert.Equal(["3", "2"], log.Newest(2).Select(handoff => handoff.Id));
        }

        await using var again = Open();
        again.Record(Example(4));
        Assert.Equal(["4", "3", "2", "1"], again.Newest(20).Select(handoff => handoff.Id));
        var (read, written) = (again.Newest(20).Last(), Example(1));
        Assert.Equal(written with { Devices = [], From = [], Steps = [] }, read with { Devices = [], From = [], Steps = [] });
        Assert.Equal(written.Devices, read.Devices);
        Assert.Equal(written.From, read.From);
        Assert.Equal(written.Steps, read.Steps);
    }

    [Fact]
    public async Task A_handoff_is_one_line_in_the_log_that_tells_all()
    {
        await using var log = Open();
        log.Record(Example(1));
        var line = Assert.Single(_log.Lines, line => line.Level == LogLevel.Information).Text;
        Assert.Contains("keyboard host -> win: RolledBack in 12.5 ms [attach:keyboard=2.5] QEMU refused uid=1000", line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("[1]")]
    [InlineData("\0\0\0\0")]
    [InlineData("""{"id":null,"gesture":"cli","devices":[],"from":[],"to":"host","outcome":"Done","steps":[]}""")]
    [InlineData("""{"id":"x","devices":[],"from":[],"to":"host","outcome":"Done","steps":[]}""")]
    [InlineData("""{"id":"x","gesture":"cli","devices":[null],"from":[],"to":"host","outcome":"Done","steps":[]}""")]
    [InlineData("""{"id":"x","gesture":"cli","devices":[],"from":["?"],"to":"host","outcome":"Done","steps":[]}""")]
    [InlineData("""{"id":"x","gesture":"cli","devices":[],"from":[],"to":"host","outcome":"Sometimes","steps":[]}""")]
    [InlineData("""{"id":"x","gesture":"cli","devices":[],"from":[],"to":"host","outcome":"Done","steps":[null]}""")]
    [InlineData("""{"id":"x","gesture":"cli","devices":[],"from":[],"to":"host","outcome":"Done","steps":[{"device":"a"}]}""")]
    [InlineData("""{"id":"x","gesture":"cli","devices":[],"from":[],"to":"host","outcome":"Done","duration_ms":1e300,"steps":[]}""")]
    public async Task A_spoiled_line_is_passed_over_and_the_others_stay(string spoiled)
    {
        await using (var log = Open()) log.Record(Example(1));
        File.AppendAllText(FilePath, spoiled + "\n");
        await using (var log = Open()) log.Record(Example(2));

        await using var again = Open();

        Assert.Equal(["2", "1"], again.Newest(20).Select(handoff => handoff.Id));
        if (spoiled != "null") Assert.Contains(_log.Lines, line => line.Event.Id == 1013);
    }

    [Fact]
    public async Task A_line_that_was_cut_short_spoils_at_most_the_next()
    {
        await using (var log = Open()) log.Record(Example(1));
        File.AppendAllText(FilePath, """{"id":"cut","ges""");
        await using (var log = Open())
        {
            log.Record(Example(2));
            log.Record(Example(3));
        }

        await using var again = Open();
        Assert.Equal(["3", "1"], again.Newest(20).Select(handoff => handoff.Id));
    }

    [Fact]
    public async Task A_file_that_grew_is_cut_to_its_newer_half()
    {
        var long1 = Example(1) with { Error = new string('x', 1000) };
        await using (var log = Open())
        {
            for (var i = 0; i < 900; i++) log.Record(long1 with { Id = i.ToString(CultureInfo.InvariantCulture) });
        }

        await using (var log = Open())
        {
            for (var i = 900; i < 1100; i++) log.Record(long1 with { Id = i.ToString(CultureInfo.InvariantCulture) });
        }

        Assert.InRange(new FileInfo(FilePath).Length, 1, (1 << 20) + 4096);
        await using var again = Open();
        Assert.Equal(["1099", "1098"], again.Newest(2).Select(handoff => handoff.Id));
    }

    [Fact]
    public async Task What_can_neither_be_read_nor_written_keeps_nobody_from_switching()
    {
        Directory.CreateDirectory(FilePath);
        await using (var log = Open())
        {
            log.Record(Example(1));
            Assert.Single(log.Newest(5));
        }

        Assert.Contains(_log.Lines, line => line.Event.Id == 1012);
    }

    private static Handoff Example(int id) => new(
        id.ToString(CultureInfo.InvariantCulture), Gesture.Cli, 1000, [Keyboard], [Owner.Host], MachineId.Parse("win"), Outcome.RolledBack, "QEMU refused",
        new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero), TimeSpan.FromMilliseconds(12.5),
        [new("attach", Keyboard, TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(2.5), "QEMU refused")]);

    private HandoffLog Open() => new(FilePath, new TypedLog(_log));

    private sealed class TypedLog(RecordingLog log) : ILogger<HandoffLog>
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            log.Log(logLevel, eventId, state, exception, formatter);
    }
}
