using Grpc.Core;
using KvmSwitch.Cli.Connection;
using KvmSwitch.Cli.Output;
using KvmSwitch.Cli.Output.Json;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Commands;

/// <summary>Calls that several commands make, with what they print.</summary>
internal static class Calls
{
    public const string LookAfterwards = "interrupted; 'kvmswitch status' shows how far it came";

    public static Task<State> GetStateAsync(this Session session, Call call, CancellationToken cancellation) =>
        session.AskAsync(call, (client, options) => client.GetStateAsync(new GetStateRequest(), options), cancellation);

    public static AsyncServerStreamingCall<State> WatchStateAsync(this Control.ControlClient client, CallOptions options) =>
        client.WatchState(new GetStateRequest(), options);

    /// <summary>Moves devices and prints the handoff.</summary>
    /// <param name="session">The run.</param>
    /// <param name="verb">What was typed, and what moves, for messages.</param>
    /// <param name="ask">The call.</param>
    /// <param name="steps">Whether to print each step.</param>
    /// <param name="cancellation">Gives the wait up; the daemon goes on by itself.</param>
    public static async Task<ExitCode> MoveAsync(
        this Session session,
        (string Name, string What) verb,
        Func<Control.ControlClient, CallOptions, AsyncUnaryCall<Handoff>> ask,
        bool steps,
        CancellationToken cancellation)
    {
        Handoff handoff;
        using (new WaitingLine(session.Around, $"{verb.Name} {verb.What}"))
        {
            handoff = await session.AskAsync(Call.Change(verb.Name), ask, cancellation);
        }

        if (session.Json)
        {
            session.WriteJson(json => HandoffJson.Write(json, handoff));
        }
        else
        {
            session.Write(HandoffText.Render(handoff, steps, session.Layout));
        }

        return Exit(handoff);
    }

    /// <summary>Prints what the daemon tells while it works on a machine, until it is done.</summary>
    public static async Task<ExitCode> FollowAsync(
        this Session session,
        string name,
        Func<Control.ControlClient, CallOptions, AsyncServerStreamingCall<MachineProgress>> ask,
        CancellationToken cancellation)
    {
        var call = Call.Stream(name, changes: true);
        var done = false;
        using var waiting = new WaitingLine(session.Around, name);
        await foreach (var progress in session.StreamAsync(call, ask, cancellation))
        {
            waiting.Replace(progress.Text, () => Print(session, progress));
            done |= progress.Done;
        }

        return done ? ExitCode.Done : throw CallFailure.Lost(call);
    }

    private static void Print(Session session, MachineProgress progress)
    {
        if (session.Json)
        {
            session.WriteJson(json => MachineJson.Write(json, progress), line: true);
        }
        else
        {
            session.Write($"{progress.ElapsedMs / 1000,6:0.0} s  {Plain.Text(progress.Text)}\n");
        }
    }

    // Failures come as error statuses; an outcome that says otherwise must not look like success to a script.
    private static ExitCode Exit(Handoff handoff) => handoff.Outcome switch
    {
        "done" or "unchanged" => ExitCode.Done,
        "timed-out" => throw new CliException(ExitCode.TimedOut, handoff.Error.Length > 0 ? handoff.Error : "it timed out and was rolled back"),
        _ => throw new CliException(ExitCode.Failed, handoff.Error.Length > 0 ? handoff.Error : $"the handoff ended as '{handoff.Outcome}'"),
    };
}
