using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Tests.Cli;

/// <summary>A Control service that answers what a test put in, and remembers what it was asked.</summary>
public sealed class FakeControl : Control.ControlBase
{
    public IList<object> Asked { get; } = [];

    public State State { get; set; } = Examples.State();

    public Handoff Handoff { get; set; } = Examples.Handoff();

    /// <summary>Thrown by every call, when set.</summary>
    public RpcException? Failure { get; set; }

    /// <summary>Runs before every answer.</summary>
    public Func<ServerCallContext, Task> Before { get; set; } = _ => Task.CompletedTask;

    public IList<State> Watched { get; } = [];

    public IList<MachineProgress> Progress { get; } = [];

    public GuestList Guests { get; set; } = Examples.Guests();

    public TaskCompletionSource CallCancelled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public static RpcException Refusal(int exit, string sentence, StatusCode code = StatusCode.FailedPrecondition) =>
        new(new Status(code, sentence), new Metadata { { "kvmswitch-exit", $"{exit}" } });

    public override Task<State> GetState(GetStateRequest request, ServerCallContext context) => AnswerAsync(request, State, context);

    public override async Task WatchState(GetStateRequest request, IServerStreamWriter<State> responseStream, ServerCallContext context)
    {
        foreach (var state in Watched)
        {
            await responseStream.WriteAsync(await AnswerAsync(request, state, context));
        }

        await EndOfCallAsync(context);
    }

    public override Task<Handoff> Give(GiveRequest request, ServerCallContext context) => AnswerAsync(request, Handoff, context);

    public override Task<Handoff> Take(TakeRequest request, ServerCallContext context) => AnswerAsync(request, Handoff, context);

    public override Task<Handoff> Toggle(GiveRequest request, ServerCallContext context) => AnswerAsync(request, Handoff, context);

    public override Task<History> GetHistory(HistoryRequest request, ServerCallContext context) =>
        AnswerAsync(request, new History { Handoffs = { Examples.LostLease(), Examples.Handoff() } }, context);

    public override Task StartMachine(MachineRequest request, IServerStreamWriter<MachineProgress> responseStream, ServerCallContext context) =>
        ProgressAsync(request, responseStream, context);

    public override Task StopMachine(StopMachineRequest request, IServerStreamWriter<MachineProgress> responseStream, ServerCallContext context) =>
        ProgressAsync(request, responseStream, context);

    public override Task RestartMachine(StopMachineRequest request, IServerStreamWriter<MachineProgress> responseStream, ServerCallContext context) =>
        ProgressAsync(request, responseStream, context);

    public override Task KillMachine(MachineRequest request, IServerStreamWriter<MachineProgress> responseStream, ServerCallContext context) =>
        ProgressAsync(request, responseStream, context);

    public override Task<MachineArguments> GetMachineArguments(MachineRequest request, ServerCallContext context) =>
        AnswerAsync(request, Examples.Arguments(), context);

    public override Task<PairingCode> PairGuest(PairGuestRequest request, ServerCallContext context) =>
        AnswerAsync(request, new PairingCode { Code = "KS1-abc", Machine = "win", Expires = Timestamp.FromDateTimeOffset(Examples.Now.AddMinutes(10)) }, context);

    public override Task<GuestToolsDisc> ShowGuestTools(ShowGuestToolsRequest request, ServerCallContext context) => AnswerAsync(
        request,
        new GuestToolsDisc
        {
            Machine = "win", Expires = Timestamp.FromDateTimeOffset(Examples.Now.AddMinutes(10)), Files = { "kvmswitch.join", "setup.cmd" },
            Missing = { "nothing for Linux: kvmswitch-agent is not in /tools" },
        },
        context);

    public override Task<RemoveGuestToolsReply> RemoveGuestTools(MachineRequest request, ServerCallContext context) =>
        AnswerAsync(request, new RemoveGuestToolsReply { Removed = request.Machine == "win" }, context);

    public override Task<GuestList> ListGuests(ListGuestsRequest request, ServerCallContext context) => AnswerAsync(request, Guests, context);

    public override Task<RevokeGuestReply> RevokeGuest(RevokeGuestRequest request, ServerCallContext context) =>
        AnswerAsync(request, new RevokeGuestReply { Revoked = { request.Guest == "ghost" ? [] : [request.Guest] } }, context);

    /// <summary>Waits until the caller goes away, and says so.</summary>
    public async Task EndOfCallAsync(ServerCallContext context)
    {
        var ended = new TaskCompletionSource();
        await using var registration = context.CancellationToken.Register(ended.SetResult);
        await ended.Task;
        CallCancelled.TrySetResult();
        context.CancellationToken.ThrowIfCancellationRequested();
    }

    private async Task ProgressAsync(object request, IServerStreamWriter<MachineProgress> stream, ServerCallContext context)
    {
        Asked.Add(request);
        await Before(context);
        foreach (var progress in Progress)
        {
            await stream.WriteAsync(progress);
        }

        if (Failure is not null)
        {
            throw Failure;
        }
    }

    private async Task<T> AnswerAsync<T>(object request, T answer, ServerCallContext context)
    {
        Asked.Add(request);
        await Before(context);
        return Failure is null ? answer : throw Failure;
    }
}
