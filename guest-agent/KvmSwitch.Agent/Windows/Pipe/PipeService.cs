using System.Text.Json;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Agent.Windows.Pipe;

/// <summary>Asks the host; null when it was done, else why not, one sentence.</summary>
internal delegate Task<string?> AskHost(GuestAction action, string gesture);

/// <summary>Serves the clients of the pipe, over any stream. What a client sends is hostile: it is bounded, checked, and ends its own connection alone.</summary>
internal sealed class PipeService(PipeBoard board, AskHost ask, TimeProvider time)
{
    private const int LinesInARow = 20;
    private const double LinesPerSecond = 5;

    /// <summary>Tells one client what there is, and takes what it asks for, until it leaves or has to.</summary>
    /// <returns>Why it had to leave, one clause; null when it left by itself.</returns>
    public async Task<string?> ServeAsync(Stream stream, CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var client = new PipeClient(board);
        board.Add(client);
        try
        {
            var reading = ReadAsync(client, stream, over.Token);
            var writing = WriteAsync(client, stream, over.Token);
            var first = await Task.WhenAny(reading, writing, client.Full);
            await over.CancelAsync();
            await writing;
            var why = await reading;
            return first == client.Full ? "it does not read" : why;
        }
        finally
        {
            board.Remove(client);
        }
    }

    private static async Task WriteAsync(PipeClient client, Stream stream, CancellationToken over)
    {
        try
        {
            await client.WriteAsync(stream, over);
        }
        catch (Exception gone) when (gone is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // It left, or has to: the reading side tells why.
        }
    }

    private async Task<string?> ReadAsync(PipeClient client, Stream stream, CancellationToken over)
    {
        var lines = new LineReader(stream, PipeContract.LongestToService);
        var allowance = new Allowance(LinesInARow, LinesPerSecond, time);
        try
        {
            while (await lines.ReadAsync(over) is { } line)
            {
                if (!allowance.TryTake())
                    return "it says too much";
                if (JsonSerializer.Deserialize(line.Span, PipeJson.Default.ToService) is not { Targets: not null, Gesture: not null } said || said.Targets.Contains(null!))
                    return "it speaks another language";
                Take(client, said, over);
            }

            return null;
        }
        catch (Exception nonsense) when (nonsense is JsonException or InvalidDataException)
        {
            return nonsense is InvalidDataException ? nonsense.Message : "it speaks another language";
        }
        catch (Exception gone) when (gone is IOException or ObjectDisposedException or OperationCanceledException)
        {
            return null;
        }
    }

    private void Take(PipeClient client, ToService said, CancellationToken over)
    {
        if (said.Hotkeys is { } troubles)
            board.Report(client, PipeRules.Troubles(troubles, board.State));
        else if (PipeRules.Objection(said, board.State) is { } objection)
            Answer(client, said, objection);
        else
            _ = AskAsync(client, said, over);
    }

    private async Task AskAsync(PipeClient client, ToService said, CancellationToken over)
    {
        var action = new GuestAction
        {
            Verb = said.Verb == PipeVerb.Request ? GuestAction.Types.Verb.Request : GuestAction.Types.Verb.Return,
            Targets = { said.Targets },
        };
        try
        {
            Answer(client, said, await ask(action, said.Gesture).WaitAsync(over));
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // Nobody is left who wants to know.
        }
    }

    private void Answer(PipeClient client, ToService said, string? error)
    {
        client.Send(new(Reply: new(said.Id, error)));
        // Who presses a hotkey looks at no window: the reason comes as a notice.
        if (error is not null && said.Gesture == "hotkey")
            board.Note(new(PipeNoticeKind.Failed, said.Targets.Count == 1 ? said.Targets[0] : null, error));
    }
}
