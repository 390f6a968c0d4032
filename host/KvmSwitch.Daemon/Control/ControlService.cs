using System.Diagnostics;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Daemon.GuestTools;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Daemon.Persistence;
using KvmSwitch.Daemon.Routes;
using KvmSwitch.Proto.V1;
using Handoff = KvmSwitch.Proto.V1.Handoff;

namespace KvmSwitch.Daemon.Control;

/// <summary>What the CLI and the desktop program ask for. Only translates: the deciding is done where the state is.</summary>
internal sealed class ControlService(
    Switchboard switchboard, DaemonState state, MachinePark machines, HandoffLog history, PairingDesk desk, GuestRegister guests, GuestTrust trust,
    GuestLinks links, HostSides sides, ToolsDesk tools)
    : Proto.V1.Control.ControlBase
{
    private const int DefaultHistory = 20;
    private static readonly TimeSpan LongestStop = TimeSpan.FromHours(24);

    public override Task<State> GetState(GetStateRequest request, ServerCallContext context) => Task.FromResult(state.Read());

    public override async Task WatchState(GetStateRequest request, IServerStreamWriter<State> responseStream, ServerCallContext context)
    {
        await foreach (var current in state.WatchAsync(context.CancellationToken))
            await responseStream.WriteAsync(current, context.CancellationToken);
    }

    public override async Task<Handoff> Give(GiveRequest request, ServerCallContext context) => StateMessages.Of(
        await switchboard.GiveAsync(request.Targets, request.Machine, request.TimeLimit?.ToTimeSpan(), request.Force, GestureOf(request.Gesture), UidOf(context)));

    public override async Task<Handoff> Take(TakeRequest request, ServerCallContext context) => StateMessages.Of(
        await switchboard.TakeAsync(request.Targets, request.All, GestureOf(request.Gesture), UidOf(context)));

    public override async Task<Handoff> Toggle(GiveRequest request, ServerCallContext context) => StateMessages.Of(
        await switchboard.ToggleAsync(request.Targets, request.Machine, request.TimeLimit?.ToTimeSpan(), request.Force, GestureOf(request.Gesture), UidOf(context)));

    public override async Task WatchKeys(WatchKeysRequest request, IServerStreamWriter<HeardKeys> responseStream, ServerCallContext context)
    {
        // Passwords are typed on these keyboards.
        if (UidOf(context) != 0) throw new SwitchException(Failure.Refused, "only root may listen to the keyboards; run it with sudo");
        if (sides.Input is not { } input)
        {
            throw new SwitchException(
                Failure.Refused, "the daemon listens to no keyboard, because no hotkey has where = \"host\" and no device has route = \"input\"; add one first");
        }

        await foreach (var heard in input.Hotkeys.HearAsync(context.CancellationToken))
        {
            var message = new HeardKeys { Keyboard = heard.Keyboard.Name, Chord = heard.Chord?.ToString() ?? "" };
            message.KeysDown.AddRange(heard.KeysDown);
            await responseStream.WriteAsync(message, context.CancellationToken);
        }
    }

    public override Task<History> GetHistory(HistoryRequest request, ServerCallContext context)
    {
        var reply = new History();
        var count = request.Limit == 0 ? DefaultHistory : (int)Math.Min(request.Limit, int.MaxValue);
        reply.Handoffs.AddRange(history.Newest(count).Select(StateMessages.Of));
        return Task.FromResult(reply);
    }

    public override Task StartMachine(MachineRequest request, IServerStreamWriter<MachineProgress> responseStream, ServerCallContext context) =>
        ReportAsync(responseStream, context, report => Power(request.Machine).StartAsync(report, context.CancellationToken));

    public override Task StopMachine(StopMachineRequest request, IServerStreamWriter<MachineProgress> responseStream, ServerCallContext context) =>
        ReportAsync(
            responseStream, context, report => Power(request.Machine).StopAsync(Patience(request), report, context.CancellationToken));

    public override Task RestartMachine(StopMachineRequest request, IServerStreamWriter<MachineProgress> responseStream, ServerCallContext context) =>
        ReportAsync(
            responseStream, context, report => Power(request.Machine).RestartAsync(Patience(request), report, context.CancellationToken));

    public override Task KillMachine(MachineRequest request, IServerStreamWriter<MachineProgress> responseStream, ServerCallContext context) =>
        ReportAsync(responseStream, context, report => Power(request.Machine).KillAsync(report, context.CancellationToken));

    public override Task<MachineArguments> GetMachineArguments(MachineRequest request, ServerCallContext context)
    {
        var (program, arguments) = Power(request.Machine).CommandLine();
        var reply = new MachineArguments { Program = program };
        reply.Arguments.AddRange(arguments);
        return Task.FromResult(reply);
    }

    public override Task<PairingCode> PairGuest(PairGuestRequest request, ServerCallContext context)
    {
        var machine = switchboard.Machine(request.Machine).Id;
        CheckListening();
        var issued = desk.CreateTicket(machine, request.Lifetime?.ToTimeSpan() ?? PairingDesk.DefaultLifetime);
        return Task.FromResult(new PairingCode { Code = issued.Code, Expires = issued.Expires.ToTimestamp(), Machine = issued.Machine.Value });
    }

    public override Task<GuestList> ListGuests(ListGuestsRequest request, ServerCallContext context)
    {
        var reply = new GuestList();
        foreach (var guest in guests.Guests)
        {
            var isConnected = links.Info(guest.Machine)?.CertificateId == guest.Id;
            var troubles = isConnected ? links.HotkeyTroubles(guest.Machine) : [];
            reply.Guests.Add(new PairedGuest
            {
                Id = guest.Id,
                Machine = guest.Machine.Value,
                HostName = guest.HostName,
                Paired = guest.Paired.ToTimestamp(),
                Expires = guest.Expires.ToTimestamp(),
                Revoked = guest.Revoked,
                Connected = isConnected,
                HotkeyTroubles = { troubles.Select(one => new PairedGuest.Types.HotkeyTrouble { Chord = one.Chord, Reason = one.Reason }) },
            });
        }

        return Task.FromResult(reply);
    }

    public override async Task<RevokeGuestReply> RevokeGuest(RevokeGuestRequest request, ServerCallContext context)
    {
        var reply = new RevokeGuestReply();
        reply.Revoked.AddRange(await trust.RevokeAsync(request.Guest, context.CancellationToken));
        return reply;
    }

    public override async Task<GuestToolsDisc> ShowGuestTools(ShowGuestToolsRequest request, ServerCallContext context)
    {
        var machine = switchboard.Machine(request.Machine).Id;
        CheckListening();
        var shown = await tools.ShowAsync(machine, request.Lifetime?.ToTimeSpan() ?? ToolsDesk.MaxLifetime, context.CancellationToken);
        var reply = new GuestToolsDisc { Machine = shown.Machine.Value, Expires = shown.Expires.ToTimestamp() };
        reply.Files.AddRange(shown.Files);
        reply.Missing.AddRange(shown.Missing);
        return reply;
    }

    public override async Task<RemoveGuestToolsReply> RemoveGuestTools(MachineRequest request, ServerCallContext context) =>
        new() { Removed = await tools.RemoveAsync(switchboard.Machine(request.Machine).Id, context.CancellationToken) };

    private void CheckListening()
    {
        if (state.ListensForGuests) return;
        throw new SwitchException(
            Failure.Refused, "the daemon listens for no guests; set 'listen' in the section [daemon] to an address that the guest reaches");
    }

    private static TimeSpan? Patience(StopMachineRequest request) => request.Timeout?.ToTimeSpan() switch
    {
        null => null,
        { } time when time >= TimeSpan.Zero && time <= LongestStop => time,
        _ => throw new SwitchException(Failure.Usage, $"the guest may take from 0 s to {LongestStop.TotalHours:0} hours to shut down"),
    };

    private static long UidOf(ServerCallContext context) => context.GetHttpContext().Features.Get<CallerIdentity>()?.Uid ?? -1;

    /// <summary>Callers name their own gesture; only the words that are theirs to use reach the history.</summary>
    private static string GestureOf(string gesture) => gesture is "hotkey" or "tray" ? gesture : Gesture.Cli;

    private static async Task ReportAsync(
        IServerStreamWriter<MachineProgress> stream, ServerCallContext context, Func<Action<string>, Task> act)
    {
        var started = Stopwatch.GetTimestamp();
        var lines = System.Threading.Channels.Channel.CreateUnbounded<string>();
        var acting = RunAsync();
        await foreach (var line in lines.Reader.ReadAllAsync(context.CancellationToken))
        {
            await stream.WriteAsync(
                new() { Text = line, ElapsedMs = Stopwatch.GetElapsedTime(started).TotalMilliseconds }, context.CancellationToken);
        }

        await acting;
        await stream.WriteAsync(new() { Text = "done", Done = true, ElapsedMs = Stopwatch.GetElapsedTime(started).TotalMilliseconds }, context.CancellationToken);

        async Task RunAsync()
        {
            try
            {
                await act(line => lines.Writer.TryWrite(line));
            }
            finally
            {
                lines.Writer.TryComplete();
            }
        }
    }

    private MachinePower Power(string name) => machines.PowerOf(switchboard.Machine(name));
}
