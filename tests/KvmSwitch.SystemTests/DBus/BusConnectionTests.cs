using System.Collections.Immutable;
using System.Globalization;
using KvmSwitch.Linux;
using Xunit;

namespace KvmSwitch.SystemTests.DBus;

public sealed class BusConnectionTests
{
    private const string Bus = "org.freedesktop.DBus";
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private static readonly MethodCall GetId = new(Bus, "/", Bus, "GetId");

    [Fact]
    public async Task Values_go_to_the_bus_and_come_back()
    {
        using var bus = await PrivateBus.StartAsync();
        await using var connection = new BusConnection(bus.Address, TimeProvider.System);

        Assert.Equal(new BusValue.Whole(1), Assert.Single(await CallAsync(connection, "RequestName", new BusValue.Text("org.example.Ours"), new BusValue.Whole(4))));
        var names = Assert.IsType<BusValue.Sequence>(Assert.Single(await CallAsync(connection, "ListNames")));
        Assert.Equal("as", names.Signature);
        Assert.Contains(new BusValue.Text("org.example.Ours"), names.Items);
        Assert.Equal(new BusValue.Flag(true), Assert.Single(await CallAsync(connection, "NameHasOwner", new BusValue.Text("org.example.Ours"))));
    }

    [Fact]
    public async Task Containers_are_written_and_read()
    {
        using var bus = await PrivateBus.StartAsync();
        await using var connection = new BusConnection(bus.Address, TimeProvider.System);
        var pairs = new BusValue.Sequence("{ss}", [new BusValue.Entry(new BusValue.Text("A"), new BusValue.Text("Ä"))]);

        Assert.Empty(await CallAsync(connection, "UpdateActivationEnvironment", pairs));
        var call = new MethodCall(Bus, "/org/freedesktop/DBus", $"{Bus}.Properties", "GetAll", new BusValue.Text(Bus));
        var properties = Assert.IsType<BusValue.Sequence>(Assert.Single(await connection.CallMethodAsync(call, CancellationToken.None)));

        Assert.Equal("a{sv}", properties.Signature);
        var features = properties.Items.Cast<BusValue.Entry>().Single(entry => entry.Key == new BusValue.Text("Features"));
        Assert.Equal("as", Assert.IsType<BusValue.Variant>(features.Value).Value.Signature);
    }

    [Fact]
    public async Task An_error_has_its_name_and_the_connection_goes_on()
    {
        using var bus = await PrivateBus.StartAsync();
        await using var connection = new BusConnection(bus.Address, TimeProvider.System);

        var error = await Assert.ThrowsAsync<MessageBusException>(() => CallAsync(connection, "GetNameOwner", new BusValue.Text("org.example.Nobody")));

        Assert.Equal("org.freedesktop.DBus.Error.NameHasNoOwner", error.ErrorName);
        Assert.NotEmpty(await CallAsync(connection, "GetId"));
    }

    [Theory]
    [InlineData("no path", "M")]
    [InlineData("/a", "no member")]
    public async Task What_D_Bus_does_not_allow_is_the_callers_mistake(string path, string member)
    {
        using var bus = await PrivateBus.StartAsync();
        await using var connection = new BusConnection(bus.Address, TimeProvider.System);

        await Assert.ThrowsAsync<ArgumentException>(() => connection.CallMethodAsync(new(Bus, path, Bus, member), CancellationToken.None));
        await Assert.ThrowsAsync<ArgumentException>(() => CallAsync(connection, "GetNameOwner", new BusValue.Text("a\0b")));
        Assert.NotEmpty(await CallAsync(connection, "GetId"));
    }

    [Fact]
    public async Task Many_calls_at_once_each_get_their_own_answer()
    {
        using var bus = await PrivateBus.StartAsync();
        await using var connection = new BusConnection(bus.Address, TimeProvider.System);
        var names = Enumerable.Range(0, 200).Select(i => $"org.example.N{i}").ToArray();
        foreach (var name in names.Where((_, i) => i % 2 == 0)) await CallAsync(connection, "RequestName", new BusValue.Text(name), new BusValue.Whole(4));

        var answers = await Task.WhenAll(names.Select(name => CallAsync(connection, "NameHasOwner", new BusValue.Text(name))));

        Assert.Equal(Enumerable.Range(0, 200).Select(i => i % 2 == 0), answers.Select(answer => ((BusValue.Flag)answer[0]).Value));
    }

    [Fact]
    public async Task A_bus_that_dies_ends_all_calls_with_its_reason()
    {
        using var bus = await PrivateBus.StartAsync();
        await using var connection = new BusConnection(bus.Address, TimeProvider.System);
        Assert.NotEmpty(await CallAsync(connection, "GetId"));

        bus.Process.Kill();
        await bus.Process.WaitForExitAsync();

        var error = await Assert.ThrowsAsync<MessageBusException>(() => CallAsync(connection, "GetId"));
        Assert.Null(error.ErrorName);
        Assert.Null((await Assert.ThrowsAsync<MessageBusException>(() => CallAsync(connection, "GetId"))).ErrorName);
    }

    [Fact]
    public async Task A_bus_that_keeps_silent_is_left_at_the_callers_deadline()
    {
        using var silent = new MuteBus();
        var connection = new BusConnection(silent.Address, TimeProvider.System);
        using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connection.CallMethodAsync(GetId, patience.Token).WaitAsync(Deadline));
        await connection.DisposeAsync().AsTask().WaitAsync(Deadline);
        await Assert.ThrowsAsync<MessageBusException>(() => connection.CallMethodAsync(GetId, CancellationToken.None).WaitAsync(Deadline));
    }

    [Fact]
    public async Task A_bus_that_does_not_greet_is_as_good_as_none()
    {
        using var silent = new MuteBus();
        await using var connection = new BusConnection(silent.Address, TimeProvider.System);

        var error = await Assert.ThrowsAsync<MessageBusException>(() => connection.CallMethodAsync(GetId, CancellationToken.None).WaitAsync(Deadline));

        Assert.Equal((null, $"the message bus at {silent.Address} can't be reached: it doesn't answer within 5 s"), (error.ErrorName, error.Message));
    }

    [Theory]
    [InlineData("REJECTED EXTERNAL\r\n", "the message bus at {0} can't be reached: ")]
    [InlineData("HTTP/1.1 400 Bad Request\r\n", "the message bus at {0} can't be reached: ")]
    [InlineData("", "the message bus at {0} can't be reached: ")]
    [InlineData("OK\r\nAGREE_UNIX_FD\r\nno message of D-Bus at all", "the connection to the message bus has ended: it doesn't speak D-Bus")]
    public async Task A_bus_that_refuses_is_one_sentence(string answer, string sentence)
    {
        using var bus = new MuteBus();
        await using var connection = new BusConnection(bus.Address, TimeProvider.System);
        var call = connection.CallMethodAsync(GetId, CancellationToken.None);

        await bus.AnswerAndHangUpAsync(answer).WaitAsync(Deadline);

        var error = await Assert.ThrowsAsync<MessageBusException>(() => call.WaitAsync(Deadline));
        Assert.Null(error.ErrorName);
        Assert.StartsWith(string.Format(CultureInfo.InvariantCulture, sentence, bus.Address), error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public async Task No_bus_is_told_by_its_address()
    {
        await using var connection = new BusConnection("unix:path=/nowhere/bus", TimeProvider.System);

        for (var call = 0; call < 2; call++)
        {
            var error = await Assert.ThrowsAsync<MessageBusException>(() => CallAsync(connection, "GetId"));
            Assert.Equal((null, "the message bus at unix:path=/nowhere/bus can't be reached: it isn't there"), (error.ErrorName, error.Message));
        }
    }

    private static Task<ImmutableArray<BusValue>> CallAsync(BusConnection connection, string member, params ImmutableArray<BusValue> arguments) =>
        connection.CallMethodAsync(new(Bus, "/org/freedesktop/DBus", Bus, member, arguments), CancellationToken.None).WaitAsync(Deadline);
}
