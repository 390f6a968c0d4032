using System.Net.Sockets;
using System.Text.Json.Nodes;

namespace KvmSwitch.Testing.Qmp;

/// <summary>
/// A QEMU without a machine: a real Unix socket that speaks QMP as QEMU 7.2 to 10 do, errors and all, serves one client at a time, and
/// can be told to go wrong.
/// </summary>
public sealed class FakeQemu : IAsyncDisposable
{
    private readonly FakeQemuOptions _options;
    private readonly Socket _listening;
    private readonly Lock _gate = new();
    private readonly FakeMachine _machine;
    private readonly FakeFaults _faults = new();
    private readonly List<FakeCommand> _commands = [];
    private readonly FakeArrivals _arrivals = new();
    private readonly List<Task> _later = [];
    private readonly CancellationTokenSource _ending = new();
    private readonly TaskCompletionSource _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _serving;
    private FakeSession? _session;
    private int _ended;
    private Socket? _stale;

    private FakeQemu(string socketPath, FakeQemuOptions options)
    {
        SocketPath = socketPath;
        _options = options;
        _machine = new FakeMachine(options);
        _listening = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _listening.Bind(new UnixDomainSocketEndPoint(socketPath));
        _listening.Listen(1);
        _serving = Task.Run(ServeAsync);
    }

    /// <summary>Where it listens.</summary>
    public string SocketPath { get; }

    /// <summary>Completes when the process would have ended: quit, shut down, killed.</summary>
    public Task Exited => _exited.Task;

    /// <summary>The devices that are attached now, by id.</summary>
    public IReadOnlyDictionary<string, FakeDevice> Devices => Locked(() => _machine.Devices);

    /// <summary>The descriptor sets that exist now.</summary>
    public IReadOnlyCollection<int> FdSets => Locked(() => _machine.FdSets.Ids);

    /// <summary>The names of the block nodes that exist now.</summary>
    public IReadOnlyCollection<string> BlockNodes => Locked(() => _machine.BlockNodes.Names);

    /// <summary>The next client of its VNC server, to which nothing was said yet.</summary>
    public ValueTask<FakeVnc> AcceptVncAsync(CancellationToken cancellationToken) => _machine.Vnc.Clients.ReadAsync(cancellationToken);

    /// <summary>QAPI's <c>RunState</c> word.</summary>
    public string RunState => Locked(() => _machine.RunState);

    /// <summary>All commands so far, in order.</summary>
    public IReadOnlyList<FakeCommand> Commands => Locked(() => _commands.ToList());

    /// <summary>Completes when so many such commands have come; they may not be carried out yet.</summary>
    public Task SeenAsync(string command, int times = 1) => Locked(() => _arrivals.Add(command, times, Count(command)));

    /// <summary>Starts listening.</summary>
    public static FakeQemu Start(string socketPath, FakeQemuOptions? options = null) => new(socketPath, options ?? new FakeQemuOptions());

    /// <summary>The next such command goes wrong; several faults queue up, one for each command.</summary>
    public void Next(string command, FakeFault fault) => Locked(() => _faults.Next(command, fault));

    /// <summary>Every such command goes wrong from now on; null makes it well again.</summary>
    public void Always(string command, FakeFault? fault) => Locked(() => _faults.Always(command, fault));

    /// <summary>Sends an event to the client, if there is one.</summary>
    public Task RaiseAsync(string name, JsonObject? data = null) => TellAsync([new FakeEvent(name, data)]);

    /// <summary>The guest resets itself; with <c>-no-reboot</c> it would be <see cref="GuestShutdownAsync"/>.</summary>
    public Task GuestResetAsync() => TellAsync([.. Locked(() => _machine.Reset(guest: true)).Before]);

    /// <summary>The guest answers nothing from now on, until it is reset.</summary>
    public void HangGuest() => Locked(() => _machine.IsHung = true);

    /// <summary>The guest panics; its CPUs stop.</summary>
    public Task GuestPanicAsync() => TellAsync([Locked(_machine.Panic)]);

    /// <summary>The guest shuts down by itself, and QEMU ends.</summary>
    public async Task GuestShutdownAsync()
    {
        await TellAsync([FakeMachine.Shutdown(guest: true, "guest-shutdown")]);
        End(leaveFile: false);
    }

    /// <summary>Somebody else plugs a device in, through another monitor.</summary>
    public void PlugIn(FakeDevice device) => Locked(() => _machine.Put(device));

    /// <summary>Somebody else pulls a device out; the client is told as of any.</summary>
    public Task PullOutAsync(string id)
    {
        Locked(() => _machine.Take(id));
        return TellAsync([FakeEvent.Deleted(id)]);
    }

    /// <summary>Sends any text to the client.</summary>
    public Task SayAsync(string text) => Locked(() => _session)?.SendAsync(text, _ending.Token) ?? Task.CompletedTask;

    /// <summary>Closes the present client's connection and serves the next.</summary>
    public void DropClient() => Locked(() => _session)?.Close();

    /// <summary>Ends at once and without a word, like SIGKILL. The socket's file stays behind until this is disposed.</summary>
    public void Kill() => End(leaveFile: true);

    /// <summary>Ends, and reports a defect of the fake itself if there was one.</summary>
    public async ValueTask DisposeAsync()
    {
        End(leaveFile: false);
        await _serving;
        _stale?.Dispose();
        await Task.WhenAll(Locked(() => _later.ToArray()));
        _machine.Dispose();
        _ending.Dispose();
    }

    private void End(bool leaveFile)
    {
        if (Interlocked.Exchange(ref _ended, 1) != 0)
        {
            return;
        }

        _ending.Cancel();
        _listening.Dispose();
        if (leaveFile)
        {
            // .NET removes the file with its socket, a killed QEMU does not: a socket that never listens looks the same to a client.
            _stale = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            _stale.Bind(new UnixDomainSocketEndPoint(SocketPath));
        }

        DropClient();
        _exited.TrySetResult();
    }

    private async Task ServeAsync()
    {
        while (!_ending.IsCancellationRequested)
        {
            try
            {
                using var session = new FakeSession(await _listening.AcceptAsync(_ending.Token), _options.Wire);
                Locked(() => { _session = session; });
                await ServeAsync(session);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException or IOException)
            {
                // The client left, or this QEMU ends: the loop's condition knows which.
            }
            finally
            {
                Locked(() => { _session = null; });
            }
        }
    }

    private async Task ServeAsync(FakeSession session)
    {
        await session.SendAsync(_options.Wire.BeforeGreeting, _ending.Token);
        if (_options.Wire.Greets)
        {
            var greeting = new JsonObject { ["version"] = FakeMachine.VersionOf(_options.Version), ["capabilities"] = new JsonArray("oob") };
            await session.SendAsync(Lines([new JsonObject { ["QMP"] = greeting }]), _ending.Token);
        }

        while (!session.IsClosed && await session.ReadAsync(_ending.Token) is { } line)
        {
            var (command, id, complaint) = FakeSession.Parse(line);
            var fault = command is null ? null : Receive(command);
            var outcome = complaint ?? Negotiated(session, command!) ?? Execute(session, command!, fault);
            await AnswerAsync(session, outcome, id, fault);
            if (outcome.Exits)
            {
                End(leaveFile: false);
            }
        }
    }

    private FakeFault? Receive(FakeCommand command) => Locked(() =>
    {
        _commands.Add(command);
        _arrivals.Tell(command.Name, Count(command.Name));
        return _faults.Take(command.Name);
    });

    private async Task AnswerAsync(FakeSession session, FakeOutcome outcome, JsonNode? id, FakeFault? fault)
    {
        if (fault is FakeFault.AnswerAfter held)
        {
            await held.Until.WaitAsync(_ending.Token);
        }

        // Events and answer leave in one write, so that a reader has to tell joined lines apart.
        var before = Lines(outcome.Before.Select(happened => happened.ToJson()));
        var answer = fault is FakeFault.Say say ? say.Text : Lines(FakeFaults.Answers(fault, outcome.Answer, id));
        if (fault is FakeFault.CloseAfter cut)
        {
            await session.SendAsync(before + answer[..Math.Min(cut.Bytes, answer.Length)], _ending.Token);
            session.Close();
            return;
        }

        await session.SendAsync(before + answer + Lines(outcome.After.Select(happened => happened.ToJson())), _ending.Token);
    }

    private static FakeOutcome? Negotiated(FakeSession session, FakeCommand command)
    {
        var negotiates = command.Name == "qmp_capabilities";
        if (negotiates == session.IsNegotiated)
        {
            return FakeOutcome.Refused(
                negotiates
                    ? "Capabilities negotiation is already complete, command ignored"
                    : "Expecting capabilities negotiation with 'qmp_capabilities'",
                "CommandNotFound");
        }

        session.IsNegotiated = true;
        return negotiates ? FakeOutcome.Done() : null;
    }

    private FakeOutcome Execute(FakeSession session, FakeCommand command, FakeFault? fault) => Locked(() =>
    {
        if (fault is FakeFault.DeletedAfter later && FakeDeviceRules.Text(command.Arguments, "id") is { } id)
        {
            _later.Add(DeleteLaterAsync(id, later.Until));
        }

        return FakeFaults.Instead(fault, command) ?? FakeFaults.Bend(fault, _machine.Execute(command, session.TakeDescriptor));
    });

    private async Task DeleteLaterAsync(string id, Task until)
    {
        var ended = await Task.WhenAny(until, _exited.Task) == _exited.Task;
        if (!ended)
        {
            Locked(() => _machine.Take(id));
            await TellAsync([FakeEvent.Deleted(id)]);
        }
    }

    private async Task TellAsync(IReadOnlyList<FakeEvent> events)
    {
        // QEMU tells nothing to a client that has not negotiated yet.
        if (Locked(() => _session) is { IsNegotiated: true } session)
        {
            await session.SendAsync(Lines(events.Select(happened => happened.ToJson())), CancellationToken.None);
        }
    }

    private int Count(string command) => _commands.Count(seen => seen.Name == command);

    private static string Lines(IEnumerable<JsonObject> messages) =>
        string.Concat(messages.Select(message => message.ToJsonString() + "\r\n"));

    private T Locked<T>(Func<T> look)
    {
        lock (_gate)
        {
            return look();
        }
    }

    private void Locked(Action change)
    {
        lock (_gate)
        {
            change();
        }
    }
}
