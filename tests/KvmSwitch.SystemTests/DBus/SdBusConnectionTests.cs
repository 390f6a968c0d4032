using System.Collections.Immutable;
using System.Net.Sockets;
using KvmSwitch.Linux;
using Xunit;

namespace KvmSwitch.SystemTests.DBus;

public sealed class SdBusConnectionTests
{
    private const string Bus = "org.freedesktop.DBus";
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Values_go_to_the_bus_and_come_back()
    {
        using var bus = await StartAsync();
        await using var connection = SdBusConnection.Connect(bus.Address);

        Assert.Equal(new BusValue.Whole('u', 1), Assert.Single(await CallAsync(connection, "RequestName", new BusValue.Text("org.example.Ours"), new BusValue.Whole('u', 4))));
        var names = Assert.IsType<BusValue.Sequence>(Assert.Single(await CallAsync(connection, "ListNames")));
        Assert.Equal("as", names.Signature);
        Assert.Contains(new BusValue.Text("org.example.Ours"), names.Items);
        Assert.Equal(new BusValue.Flag(true), Assert.Single(await CallAsync(connection, "NameHasOwner", new BusValue.Text("org.example.Ours"))));
    }

    [Fact]
    public async Task Containers_are_written_and_read()
    {
        using var bus = await StartAsync();
        await using var connection = SdBusConnection.Connect(bus.Address);
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
        using var bus = await StartAsync();
        await using var connection = SdBusConnection.Connect(bus.Address);

        var error = await Assert.ThrowsAsync<MessageBusException>(() => CallAsync(connection, "GetNameOwner", new BusValue.Text("org.example.Nobody")));

        Assert.Equal("org.freedesktop.DBus.Error.NameHasNoOwner", error.ErrorName);
        Assert.NotEmpty(await CallAsync(connection, "GetId"));
    }

    [Theory]
    [InlineData("no path", "M")]
    [InlineData("/a", "no member")]
    public async Task What_D_Bus_does_not_allow_is_the_callers_mistake(string path, string member)
    {
        using var bus = await StartAsync();
        await using var connection = SdBusConnection.Connect(bus.Address);

        await Assert.ThrowsAsync<ArgumentException>(() => connection.CallMethodAsync(new(Bus, path, Bus, member), CancellationToken.None));
        await Assert.ThrowsAsync<ArgumentException>(() => CallAsync(connection, "GetNameOwner", new BusValue.Text("a\0b")));
        Assert.NotEmpty(await CallAsync(connection, "GetId"));
    }

    [Fact]
    public async Task Many_calls_at_once_each_get_their_own_answer()
    {
        using var bus = await StartAsync();
        await using var connection = SdBusConnection.Connect(bus.Address);
        var names = Enumerable.Range(0, 200).Select(i => $"org.example.N{i}").ToArray();
        foreach (var name in names.Where((_, i) => i % 2 == 0)) await CallAsync(connection, "RequestName", new BusValue.Text(name), new BusValue.Whole('u', 4));

        var answers = await Task.WhenAll(names.Select(name => CallAsync(connection, "NameHasOwner", new BusValue.Text(name))));

        Assert.Equal(Enumerable.Range(0, 200).Select(i => i % 2 == 0), answers.Select(answer => ((BusValue.Flag)answer[0]).Value));
    }

    [Fact]
    public async Task A_bus_that_dies_ends_all_calls_with_its_reason()
    {
        using var bus = await StartAsync();
        await using var connection = SdBusConnection.Connect(bus.Address);
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
        var path = Path.Combine(Path.GetTempPath(), $"b-{Guid.NewGuid():N}.sock");
        using var silent = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        silent.Bind(new UnixDomainSocketEndPoint(path));
        silent.Listen();
        var connection = SdBusConnection.Connect($"unix:path={path}");
        using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connection.CallMethodAsync(new(Bus, "/", Bus, "GetId"), patience.Token).WaitAsync(Deadline));
        await connection.DisposeAsync().AsTask().WaitAsync(Deadline);
        await Assert.ThrowsAsync<MessageBusException>(() => connection.CallMethodAsync(new(Bus, "/", Bus, "GetId"), CancellationToken.None).WaitAsync(Deadline));
    }

    [Fact]
    public void No_bus_is_told_by_its_address()
    {
        var error = Assert.Throws<MessageBusException>(() => SdBusConnection.Connect("unix:path=/nowhere/bus"));

        Assert.Equal("the message bus at unix:path=/nowhere/bus can't be reached: No such file or directory", error.Message);
    }

    private static Task<PrivateBus> StartAsync()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/dbus-daemon"), "dbus-daemon is not installed");
        return PrivateBus.StartAsync();
    }

    private static Task<ImmutableArray<BusValue>> CallAsync(SdBusConnection connection, string member, params ImmutableArray<BusValue> arguments) =>
        connection.CallMethodAsync(new(Bus, "/org/freedesktop/DBus", Bus, member, arguments), CancellationToken.None).WaitAsync(Deadline);
}
